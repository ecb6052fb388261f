import type { Json } from "../../bridge/protocol";
import { flag, list, number, object, text, texts } from "../../bridge/read";

export interface Point {
  latitude: number;
  longitude: number;
}

export interface Store {
  id: string;
  name: string | undefined;
  chain: string | undefined;
  address: string | undefined;
  phone: string | undefined;
  at: Point | undefined;
  miles: number | undefined;
  open: boolean | undefined;
  hours: string | undefined;
  services: string[];
}

export interface StoresView {
  stores: Store[];
  origin: Point | undefined;
  withoutHours: number;
}

export function readStores(raw: Json): StoresView {
  const origin = object(raw, "origin");
  return {
    stores: list(raw, "stores", readStore),
    origin: origin && point(origin),
    withoutHours: number(raw, "left_out_without_hours") ?? 0,
  };
}

function readStore(raw: Json): Store | null {
  const id = text(raw, "location_id");
  if (id === undefined) return null;
  return {
    id,
    name: text(raw, "name"),
    chain: text(raw, "chain"),
    address: text(raw, "address"),
    phone: text(raw, "phone"),
    at: point(raw),
    miles: number(raw, "distance_miles"),
    open: flag(raw, "open_now"),
    hours: text(raw, "hours_today"),
    services: texts(raw, "services"),
  };
}

function point(raw: Json): Point | undefined {
  const [latitude, longitude] = [number(raw, "latitude"), number(raw, "longitude")];
  if (latitude === undefined || longitude === undefined) return undefined;
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 ? { latitude, longitude } : undefined;
}

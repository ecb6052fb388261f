// Reads answers of which nothing is certain: what is missing or of another type is absent, never an error.

import { type Json, isObject } from "./protocol";

/** Items of one list that are read. More are not shown, and the pages say so where it matters. */
export const MAX_ITEMS = 5000;

export function text(from: Json, key: string): string | undefined {
  const value = from[key];
  if (typeof value === "number" && Number.isFinite(value)) return String(value);
  return typeof value === "string" && value.trim() !== "" ? value : undefined;
}

export function number(from: Json, key: string): number | undefined {
  const value = from[key];
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

export function flag(from: Json, key: string): boolean | undefined {
  const value = from[key];
  return typeof value === "boolean" ? value : undefined;
}

export function object(from: Json, key: string): Json | undefined {
  const value = from[key];
  return isObject(value) ? value : undefined;
}

export function list<T>(from: Json, key: string, read: (item: Json) => T | null): T[] {
  const value = from[key];
  if (!Array.isArray(value)) return [];
  const items = value.slice(0, MAX_ITEMS).filter(isObject).map(read);
  return items.filter((item): item is NonNullable<typeof item> => item !== null) as T[];
}

export function texts(from: Json, key: string): string[] {
  const value = from[key];
  if (!Array.isArray(value)) return [];
  return value.slice(0, MAX_ITEMS).filter((item): item is string => typeof item === "string" && item.trim() !== "");
}

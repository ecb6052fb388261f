// A product as the servers tell of it, and its order among others.

import type { Json } from "../bridge/protocol";
import { flag, number, object, text, texts } from "../bridge/read";
import type { Key } from "./language";

export interface Price {
  current: number;
  regular: number | undefined;
  savings: number | undefined;
  onSale: boolean;
  /** What the price is for, such as a pound, where it is not one piece. */
  unit: string | undefined;
  /** What one piece costs, about, where the price is for something else. */
  eachAbout: number | undefined;
}

export interface Product {
  id: string;
  name: string | undefined;
  brand: string | undefined;
  categories: string[];
  size: string | undefined;
  byWeight: boolean;
  price: Price | undefined;
  stock: string | undefined;
  ways: Key[];
  aisle: string | undefined;
  image: string | undefined;
  endsAt: string | undefined;
}

const WAYS: readonly [string, Key][] = [
  ["in_store", "product.in_store"],
  ["curbside", "product.curbside"],
  ["delivery", "product.delivery"],
  ["ship", "product.ship"],
];

/** Null without an id: nothing could be done with it. */
export function readProduct(raw: Json): Product | null {
  const id = text(raw, "product_id");
  if (id === undefined) return null;
  const ways = object(raw, "fulfillment") ?? {};
  return {
    id,
    name: text(raw, "name"),
    brand: text(raw, "brand"),
    categories: texts(raw, "categories"),
    size: text(raw, "size"),
    byWeight: text(raw, "sold_by") === "WEIGHT",
    price: readPrice(object(raw, "price")),
    stock: text(raw, "stock_level"),
    ways: WAYS.filter(([key]) => flag(ways, key) === true).map(([, label]) => label),
    aisle: text(raw, "aisle"),
    image: text(raw, "image"),
    endsAt: endOf(raw, object(raw, "price") ?? {}),
  };
}

/** The last day of its sale by the store's calendar, else the moment when that ends. */
function endOf(raw: Json, price: Json): string | undefined {
  return text(price, "sale_last_day") ?? text(raw, "ends_at") ?? text(price, "sale_ends_at");
}

function readPrice(raw: Json | undefined): Price | undefined {
  const current = raw && number(raw, "current");
  if (raw === undefined || current === undefined) return undefined;
  const sale = number(raw, "sale");
  return {
    current,
    regular: number(raw, "regular"),
    savings: number(raw, "savings"),
    onSale: sale !== undefined && sale > 0,
    unit: text(raw, "unit"),
    eachAbout: number(raw, "each_about"),
  };
}

/** What one pays for a piece: some tools give an amount, others a whole price, of which a piece is an estimate where it is for a pound. */
export function amountOf(raw: Json, key: string): number | undefined {
  const price = readPrice(object(raw, key));
  return number(raw, key) ?? (price?.unit === undefined ? price?.current : price.eachAbout);
}

export type Order = "relevance" | "price_low" | "price_high" | "savings" | "name";

/** The same order that the server gives, for the products that are here already. `relevance` leaves them as they came. */
export function inOrder(products: readonly Product[], order: Order, locale: string): Product[] {
  const sorted = [...products];
  const last = (value: number | undefined, sign: number): number => (value === undefined ? Infinity : value * sign);
  const by = (key: (product: Product) => number) => (a: Product, b: Product) => Math.sign(key(a) - key(b)) || 0;
  if (order === "price_low") sorted.sort(by((product) => last(product.price?.current, 1)));
  if (order === "price_high") sorted.sort(by((product) => last(product.price?.current, -1)));
  if (order === "savings") sorted.sort(by((product) => last(product.price?.savings, -1)));
  if (order === "name") sorted.sort((a, b) => (a.name ?? "\uffff").localeCompare(b.name ?? "\uffff", locale));
  return sorted;
}

export function isOut(product: Product): boolean {
  return product.stock === "TEMPORARILY_OUT_OF_STOCK";
}

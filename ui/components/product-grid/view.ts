import type { Json } from "../../bridge/protocol";
import { list, number, text } from "../../bridge/read";
import type { Language } from "../../design/language";
import { numberOf, typed } from "../../design/number";
import type { Order, Product } from "../../design/product";
import { readProduct } from "../../design/product";

export interface Found {
  products: Product[];
  matches: number | undefined;
  total: number | undefined;
  offset: number;
  location: string | undefined;
  withoutPrice: number;
}

export function readFound(raw: Json): Found {
  return {
    products: list(raw, "products", readProduct),
    matches: number(raw, "matches"),
    total: number(raw, "total"),
    offset: Math.max(0, number(raw, "offset") ?? 0),
    location: text(raw, "location_id"),
    withoutPrice: number(raw, "left_out_without_price") ?? 0,
  };
}

/** What the person can filter by here; each is a filter of `search_products_advanced`. */
export interface Filters {
  brand: string;
  min: string;
  max: string;
  onSale: boolean;
  inStock: boolean;
  way: string;
}

const ORDERS: readonly string[] = ["relevance", "price_low", "price_high", "savings", "name"];

export function orderOf(input: Json): Order {
  const order = text(input, "sort") ?? "relevance";
  return (ORDERS.includes(order) ? order : "relevance") as Order;
}

export function filtersOf(input: Json, language: Language): Filters {
  const from = typeof input.filters === "object" && input.filters !== null ? (input.filters as Json) : {};
  return {
    brand: text(from, "brand") ?? "",
    min: typed(text(from, "min_price") ?? "", language),
    max: typed(text(from, "max_price") ?? "", language),
    onSale: from.on_sale === true,
    inStock: from.in_stock === true,
    way: text(from, "fulfillment") ?? "",
  };
}

/** The call's arguments with other filters: what the page does not know of stays as it was. */
export function withFilters(input: Json, filters: Filters, language: Language): Json {
  const before = typeof input.filters === "object" && input.filters !== null ? (input.filters as Json) : {};
  const { brand: _b, min_price: _l, max_price: _h, on_sale: _s, in_stock: _i, fulfillment: _f, ...rest } = before;
  const next: Json = { ...rest };
  const [lowest, highest] = [numberOf(filters.min, language), numberOf(filters.max, language)];
  if (filters.brand.trim() !== "") next.brand = filters.brand.trim();
  if (lowest !== undefined) next.min_price = lowest;
  if (highest !== undefined) next.max_price = highest;
  if (filters.onSale) next.on_sale = true;
  if (filters.inStock) next.in_stock = true;
  if (filters.way !== "") next.fulfillment = filters.way;
  return { ...input, filters: next };
}

/** Whether what is typed may be a bound of prices. Nothing is none. */
export function isPrice(words: string, language: Language): boolean {
  return words.trim() === "" || (numberOf(words, language) ?? -1) >= 0;
}

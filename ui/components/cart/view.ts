import type { Json } from "../../bridge/protocol";
import { flag, list, number, text } from "../../bridge/read";
import { amountOf } from "../../design/product";

/** What of a product comes in one way. */
export interface Item {
  id: string;
  /** Names it among the others. */
  key: string;
  name: string | undefined;
  quantity: number;
  /** `PICKUP`, `DELIVERY` or `SHIP`, as the tool names it. */
  modality: string | undefined;
  price: number | undefined;
  total: number | undefined;
  /** So many of it were perhaps not taken. */
  unknown: number;
  sentAt: string | undefined;
}

const MODALITIES = ["PICKUP", "DELIVERY", "SHIP"];

export interface CartView {
  /** The cart itself, as a partner reads it; else only what was put in from here. */
  isWhole: boolean;
  items: Item[];
  count: number;
  total: number | undefined;
  savings: number | undefined;
  url: string | undefined;
  /** Where to sign in, for whom nothing can be put in yet. */
  signInUrl: string | undefined;
}

export function readCart(raw: Json): CartView {
  const items = merged(list(raw, "items", readItem));
  return {
    isWhole: text(raw, "source") === "partner",
    items,
    count: number(raw, "item_count") ?? items.reduce((sum, item) => sum + item.quantity, 0),
    total: number(raw, "estimated_total"),
    savings: number(raw, "savings"),
    url: text(raw, "kroger_cart_url"),
    signInUrl: flag(raw, "signed_in") === false ? text(raw, "sign_in_url") : undefined,
  };
}

/** One item a product and way: what it is not known of whether it was taken is told within it. */
function merged(lines: Item[]): Item[] {
  const items = new Map<string, Item>();
  for (const line of lines) {
    const known = items.get(line.key);
    items.set(line.key, known === undefined ? line : both(known, line));
  }
  return [...items.values()];
}

function both(a: Item, b: Item): Item {
  return {
    ...a,
    name: a.name ?? b.name,
    quantity: a.quantity + b.quantity,
    total: a.total === undefined || b.total === undefined ? undefined : a.total + b.total,
    unknown: a.unknown + b.unknown,
    sentAt: [a.sentAt, b.sentAt].sort().at(-1),
  };
}

/** How many of a product there are, in all ways: what the tool's `update` sets. */
export function numberOf(product: string, items: readonly Item[]): number {
  return items.filter((item) => item.id === product).reduce((sum, item) => sum + item.quantity, 0);
}

function readItem(raw: Json): Item | null {
  const id = text(raw, "product_id");
  if (id === undefined) return null;
  const modality = MODALITIES.find((known) => known === text(raw, "modality"));
  const quantity = Math.max(0, Math.round(number(raw, "quantity") ?? 1));
  return {
    id,
    key: `${id} ${modality}`,
    name: text(raw, "name"),
    quantity,
    modality,
    price: amountOf(raw, "price"),
    total: number(raw, "line_total"),
    unknown: text(raw, "state") === "unknown" ? quantity : 0,
    sentAt: text(raw, "sent_at"),
  };
}

import type { Json } from "../../bridge/protocol";
import { flag, list, number, text } from "../../bridge/read";
import { amountOf } from "../../design/product";

export interface Item {
  id: string;
  name: string | undefined;
  quantity: number;
  delivered: boolean | undefined;
  price: number | undefined;
  total: number | undefined;
  unknown: boolean;
  sentAt: string | undefined;
}

export interface CartView {
  /** The cart itself, as a partner reads it; else only what was put in from here. */
  isWhole: boolean;
  label: string | undefined;
  items: Item[];
  count: number;
  total: number | undefined;
  savings: number | undefined;
  url: string | undefined;
  signedIn: boolean;
  signInUrl: string | undefined;
}

export function readCart(raw: Json): CartView {
  const items = list(raw, "items", readItem);
  return {
    isWhole: text(raw, "source") === "partner",
    label: text(raw, "label"),
    items,
    count: number(raw, "item_count") ?? items.reduce((sum, item) => sum + item.quantity, 0),
    total: number(raw, "estimated_total"),
    savings: number(raw, "savings"),
    url: text(raw, "kroger_cart_url"),
    signedIn: flag(raw, "signed_in") !== false,
    signInUrl: text(raw, "sign_in_url"),
  };
}

function readItem(raw: Json): Item | null {
  const id = text(raw, "product_id");
  if (id === undefined) return null;
  const modality = text(raw, "modality");
  return {
    id,
    name: text(raw, "name"),
    quantity: Math.max(0, Math.round(number(raw, "quantity") ?? 1)),
    delivered: modality === undefined ? undefined : modality === "DELIVERY",
    price: amountOf(raw, "price"),
    total: number(raw, "line_total"),
    unknown: text(raw, "state") === "unknown",
    sentAt: text(raw, "sent_at"),
  };
}

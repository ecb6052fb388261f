import type { Json } from "../../bridge/protocol";
import { flag, list, number, text } from "../../bridge/read";
import { amountOf } from "../../design/product";

export interface Item {
  id: string;
  text: string | undefined;
  quantity: number;
  checked: boolean;
  product: string | undefined;
  price: number | undefined;
}

export interface ShoppingList {
  id: string;
  name: string | undefined;
  items: Item[];
  updatedAt: string | undefined;
}

export interface ListsView {
  lists: ShoppingList[];
}

export function readLists(raw: Json): ListsView {
  return { lists: list(raw, "lists", readList) };
}

function readList(raw: Json): ShoppingList | null {
  const id = text(raw, "list_id");
  if (id === undefined) return null;
  return { id, name: text(raw, "name"), items: list(raw, "items", readItem), updatedAt: text(raw, "updated_at") };
}

function readItem(raw: Json): Item | null {
  const id = text(raw, "item_id");
  if (id === undefined) return null;
  return {
    id,
    text: text(raw, "text"),
    quantity: Math.max(1, Math.round(number(raw, "quantity") ?? 1)),
    checked: flag(raw, "checked") === true,
    product: text(raw, "product_id"),
    price: amountOf(raw, "price"),
  };
}

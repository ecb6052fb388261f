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

/** The lists that are known once `args` are answered: what concerns one list is answered with that list alone. */
export function joined(before: Json, answer: Json, args: Json): Json {
  const action = text(args, "action") ?? "list";
  if (action === "delete" || (action === "list" && text(args, "list_id") === undefined)) return answer;
  const known = list(before, "lists", (raw) => raw);
  const changed = new Map(list(answer, "lists", (raw) => raw).map((raw) => [raw.list_id, raw]));
  const isNew = (raw: Json): boolean => known.every((one) => one.list_id !== raw.list_id);
  return { ...answer, lists: [...known.map((raw) => changed.get(raw.list_id) ?? raw), ...[...changed.values()].filter(isNew)] };
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

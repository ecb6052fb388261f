import type { Json } from "../../bridge/protocol";
import { list, number, text } from "../../bridge/read";

export interface OrderItem {
  name: string | undefined;
  quantity: number;
  total: number | undefined;
}

export interface Order {
  id: string;
  placedAt: string | undefined;
  items: OrderItem[];
  total: number | undefined;
  savings: number | undefined;
  events: { at: string | undefined; what: string; kind: string | undefined }[];
}

export interface OrdersView {
  orders: Order[];
  /** Orders that are kept, which may be more than were asked for. */
  total: number;
  savings: number | undefined;
}

export function readOrders(raw: Json): OrdersView {
  const orders = list(raw, "orders", readOrder);
  return { orders, total: Math.max(number(raw, "total") ?? 0, orders.length), savings: number(raw, "total_savings") };
}

function readOrder(raw: Json): Order | null {
  const id = text(raw, "order_id");
  if (id === undefined) return null;
  return {
    id,
    placedAt: text(raw, "placed_at"),
    items: list(raw, "items", (item) => ({ name: text(item, "name"), quantity: number(item, "quantity") ?? 1, total: number(item, "line_total") })),
    total: number(raw, "total"),
    savings: number(raw, "savings"),
    events: list(raw, "events", (event) => {
      const what = text(event, "what");
      return what === undefined ? null : { at: text(event, "at"), what, kind: text(event, "kind") };
    }),
  };
}

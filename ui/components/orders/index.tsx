import { start } from "../../bridge/start";
import { ALL, Orders } from "./orders";
import { readOrders } from "./view";

start({ name: "orders", tool: "order_history", asks: { action: "list", ...ALL }, title: "orders.title", read: readOrders, component: Orders });

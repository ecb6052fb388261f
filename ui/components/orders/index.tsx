import { start } from "../../bridge/start";
import { Orders } from "./orders";
import { readOrders } from "./view";

start({ name: "orders", tool: "order_history", title: "orders.title", read: readOrders, component: Orders });

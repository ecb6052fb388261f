import { start } from "../../bridge/start";
import { Cart } from "./cart";
import { readCart } from "./view";

start({ name: "cart", tool: "manage_cart", asks: { action: "view" }, title: "cart.title", read: readCart, component: Cart });

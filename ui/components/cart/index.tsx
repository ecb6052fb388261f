import { start } from "../../bridge/start";
import { Cart } from "./cart";
import { readCart } from "./view";

start({ name: "cart", tool: "manage_cart", title: "cart.title", read: readCart, component: Cart });

import { start } from "../../bridge/start";
import { Coupons } from "./coupons";
import { readCoupons } from "./view";

start({ name: "coupons", tool: "digital_coupons", asks: { action: "list" }, title: "coupons.title", read: readCoupons, component: Coupons });

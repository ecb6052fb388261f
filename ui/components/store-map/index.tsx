import { start } from "../../bridge/start";
import { Stores } from "./stores";
import { readStores } from "./view";

start({ name: "store-map", tool: "store_locator_advanced", title: "stores.title", read: readStores, component: Stores });

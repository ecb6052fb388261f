import { start } from "../../bridge/start";
import { Grid } from "./grid";
import { readFound } from "./view";

start({ name: "product-grid", tool: "search_products_advanced", title: "grid.title", read: readFound, component: Grid });

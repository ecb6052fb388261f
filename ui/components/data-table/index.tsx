import { start } from "../../bridge/start";
import { DataTable } from "./table";
import { readTable } from "./view";

start({ name: "data-table", tool: "", title: "table.title", read: readTable, component: DataTable });

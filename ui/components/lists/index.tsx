import { start } from "../../bridge/start";
import { Lists } from "./lists";
import { readLists } from "./view";

start({ name: "lists", tool: "shopping_lists", asks: { action: "list" }, title: "lists.title", read: readLists, component: Lists });

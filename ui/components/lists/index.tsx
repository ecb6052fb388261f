import { start } from "../../bridge/start";
import { Lists } from "./lists";
import { joined, readLists } from "./view";

start({ name: "lists", tool: "shopping_lists", asks: { action: "list" }, join: joined, title: "lists.title", read: readLists, component: Lists });

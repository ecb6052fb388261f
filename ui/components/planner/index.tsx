import { start } from "../../bridge/start";
import { Planner } from "./planner";
import { readPlan } from "./view";

start({ name: "planner", tool: "meal_planner", asks: { action: "view" }, title: "planner.title", read: readPlan, component: Planner });

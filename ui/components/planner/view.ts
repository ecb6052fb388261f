import type { Json } from "../../bridge/protocol";
import { flag, list, number, object, text, texts } from "../../bridge/read";
import type { Key } from "../../design/language";
import { amountOf } from "../../design/product";
import { daysFrom } from "./week";

export interface Ingredient {
  id: string;
  text: string | undefined;
  quantity: string | undefined;
  product: { name: string | undefined; price: number | undefined; size: string | undefined } | undefined;
  state: string;
  /** Why there is no product, in the words of the server. */
  reason: string | undefined;
  /** The same as a code, and the products that it names. */
  why: string | undefined;
  similar: string[];
}

export interface Meal {
  id: string;
  slot: string;
  title: string | undefined;
  servings: number | undefined;
  ingredients: Ingredient[];
}

export interface Day {
  date: string;
  meals: Meal[];
}

export interface Plan {
  week: string | undefined;
  days: Day[];
  budget: number | undefined;
  total: number | undefined;
  over: boolean;
  diets: string[];
}

export const SLOTS: readonly [string, Key][] = [
  ["breakfast", "planner.breakfast"],
  ["lunch", "planner.lunch"],
  ["dinner", "planner.dinner"],
  ["snack", "planner.snack"],
];

export const STATES: Record<string, { key: Key; look: string }> = {
  matched: { key: "planner.matched", look: "success" },
  no_match: { key: "planner.no_match", look: "warning" },
  unmatched: { key: "planner.unmatched", look: "" },
  excluded: { key: "planner.excluded", look: "danger" },
};

export function readPlan(raw: Json): Plan {
  const days = list(raw, "days", readDay);
  const startsOn = text(raw, "starts_on");
  const budget = number(raw, "weekly_budget");
  const total = number(raw, "estimated_total");
  return {
    week: text(raw, "week"),
    days: startsOn === undefined ? days : daysFrom(startsOn).map((date) => days.find((day) => day.date === date) ?? { date, meals: [] }),
    budget,
    total,
    over: flag(raw, "over_budget") ?? (budget !== undefined && total !== undefined && total > budget),
    diets: texts(raw, "diets"),
  };
}

function readDay(raw: Json): Day | null {
  const date = text(raw, "date");
  if (date === undefined) return null;
  const order = (meal: Meal): number => (SLOTS.findIndex(([slot]) => slot === meal.slot) + 5) % 5;
  return { date, meals: list(raw, "meals", readMeal).sort((a, b) => order(a) - order(b)) };
}

function readMeal(raw: Json): Meal | null {
  const id = text(raw, "meal_id");
  if (id === undefined) return null;
  return { id, slot: text(raw, "slot") ?? "", title: text(raw, "title"), servings: number(raw, "servings"), ingredients: list(raw, "ingredients", readIngredient) };
}

function readIngredient(raw: Json): Ingredient | null {
  const id = text(raw, "ingredient_id");
  if (id === undefined) return null;
  const product = object(raw, "product");
  return {
    id,
    text: text(raw, "text"),
    quantity: text(raw, "quantity"),
    product: product && { name: text(product, "name"), price: amountOf(product, "price"), size: text(product, "size") },
    state: text(raw, "state") ?? "unmatched",
    reason: text(raw, "reason"),
    why: text(raw, "reason_code"),
    similar: texts(raw, "reason_products"),
  };
}

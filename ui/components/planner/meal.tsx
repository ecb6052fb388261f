// One meal: its ingredients, the product that each is to be bought as, and another one in its place.

import { useState } from "preact/hooks";
import { type Calls, useLanguage, useRuntime } from "../../bridge/hooks";
import { list } from "../../bridge/read";
import { Button, Confirm } from "../../design/elements/button";
import { PriceTag, nameOf } from "../../design/elements/product";
import { How } from "../../design/elements/state";
import type { Key, Language } from "../../design/language";
import { type Product, readProduct } from "../../design/product";
import { slotName } from "./grid";
import type { Act } from "./planner";
import { type Ingredient, type Meal, STATES } from "./view";

/** What reasons are called here, and those that name products. */
const WHY: Record<string, Key> = {
  too_short: "planner.why_too_short",
  not_found: "planner.why_not_found",
  meat: "planner.why_meat",
  milk: "planner.why_milk",
  of_animals: "planner.why_of_animals",
  not_said_vegan: "planner.why_not_said_vegan",
  gluten: "planner.why_gluten",
  not_said_gluten_free: "planner.why_not_said_gluten_free",
  not_said_dairy_free: "planner.why_not_said_dairy_free",
  nuts: "planner.why_nuts",
  not_said_nut_free: "planner.why_not_said_nut_free",
  not_organic: "planner.why_not_organic",
};
const NAMING: Record<string, Key> = { only_similar: "planner.why_only_similar", unavailable: "planner.why_unavailable" };

interface MealProps {
  meal: Meal;
  calls: Calls;
  act: Act;
  close(): void;
}

export function OpenMeal({ meal, calls, act, close }: MealProps) {
  const language = useLanguage();
  const { t } = language;
  const title = meal.title ?? t("planner.nameless");
  const remove = async (): Promise<void> => {
    const outcome = await act("remove", { action: "remove_meal", meal_id: meal.id }, t("planner.removed", { title }));
    if (outcome?.kind === "done") close();
  };
  return (
    <>
      <div class="row apart">
        <h2>{title}</h2>
        <Button icon="cross" look="quiet" name={t("planner.close")} press={close} />
      </div>
      <p class="soft">{[slotName(meal.slot, language), meal.servings === undefined ? "" : t("planner.servings_n", { count: meal.servings })].filter((part) => part !== "").join(" · ")}</p>
      {meal.ingredients.length === 0 && <p class="soft">{t("planner.no_ingredients")}</p>}
      <ul class="ingredients">
        {meal.ingredients.map((one) => (
          <Row key={one.id} meal={meal} ingredient={one} calls={calls} act={act} />
        ))}
      </ul>
      <div>
        <Confirm label={t("planner.remove")} question={t("planner.remove_sure", { title })} yes={t("planner.remove_yes")} busy={calls.busy("remove")} press={() => void remove()} />
      </div>
    </>
  );
}

function Row({ meal, ingredient, calls, act }: { meal: Meal; ingredient: Ingredient; calls: Calls; act: Act }) {
  const language = useLanguage();
  const { t } = language;
  const state = STATES[ingredient.state];
  const { product } = ingredient;
  return (
    <li class="ingredient">
      <div class="stack">
        <p>
          <span class="strong">{ingredient.text ?? t("planner.nameless")}</span>
          {ingredient.quantity !== undefined && <span class="soft"> · {ingredient.quantity}</span>}
        </p>
        {product !== undefined && (
          <p class="small">
            {[nameOf(product, language), product.size, product.price === undefined ? undefined : language.money(product.price)].filter((part) => part !== undefined).join(" · ")}
          </p>
        )}
        <p class="row small">
          {state !== undefined && <span class={`badge ${state.look}`}>{t(state.key)}</span>}
          {ingredient.reason !== undefined && <span class="soft">{whyOf(ingredient, language)}</span>}
        </p>
      </div>
      <Choose meal={meal} ingredient={ingredient} calls={calls} act={act} />
    </li>
  );
}

/** Why there is no product: in the person's language where the reason is one that is known here. */
function whyOf({ why, reason, similar }: Ingredient, { t }: Language): string | undefined {
  const names = similar.join(", ");
  const key = WHY[why ?? ""] ?? (names === "" ? undefined : NAMING[why ?? ""]);
  return key === undefined ? reason : t(key, { names });
}

/** Searches for the ingredient's words, as far as the search takes them: 3 to 127 characters, at most 8 words. */
function queryOf(ingredient: Ingredient): string {
  const words = (ingredient.text ?? "").split(/\s+/).filter((word) => word !== "");
  return words.slice(0, 8).join(" ").slice(0, 127);
}

function Choose({ meal, ingredient, calls, act }: { meal: Meal; ingredient: Ingredient; calls: Calls; act: Act }) {
  const runtime = useRuntime();
  const { language } = runtime.state;
  const { t } = language;
  const [found, setFound] = useState<Product[] | null>(null);
  const key = `choose ${ingredient.id}`;
  const query = queryOf(ingredient);
  const search = async (): Promise<void> => {
    const args = { query, limit: 5, ...(runtime.store.location_id === undefined ? {} : { filters: runtime.store }) };
    const outcome = await calls.run({ key, tool: "search_products_advanced", args, done: "" });
    if (outcome?.kind === "done") setFound(list(outcome.view, "products", readProduct));
  };
  const take = async (product: Product): Promise<void> => {
    const ids = { meal_id: meal.id, ingredient_id: ingredient.id, product_id: product.id };
    const outcome = await act(key, { action: "choose", ...ids }, t("planner.chosen", { name: nameOf(product, language) }));
    if (outcome?.kind === "done") setFound(null);
  };
  const name = t(ingredient.product === undefined ? "planner.find_for" : "planner.change_for", { text: ingredient.text ?? "" });
  return (
    <div class="stack">
      <Button busy={calls.busy(key)} off={query.length < 3} name={name} expanded={found !== null} press={() => (found === null ? void search() : setFound(null))}>
        {t(ingredient.product === undefined ? "planner.find" : "planner.change")}
      </Button>
      {found !== null && found.length === 0 && <p class="small soft">{t("planner.nothing_found")}</p>}
      {found !== null && (
        <ul class="stack">
          {found.map((product) => (
            <li key={product.id} class="found">
              <span class="small">{[nameOf(product, language), product.size].filter((part) => part !== undefined).join(" · ")}</span>
              <PriceTag price={product.price} />
              <Button name={t("planner.take_name", { name: nameOf(product, language) })} press={() => void take(product)}>
                {t("planner.take")}
              </Button>
            </li>
          ))}
        </ul>
      )}
      <How progress={calls.of(key)} />
    </div>
  );
}

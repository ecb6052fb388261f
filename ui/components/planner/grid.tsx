import { useLanguage } from "../../bridge/hooks";
import { Button } from "../../design/elements/button";
import type { Language } from "../../design/language";
import type { Below } from "./planner";
import { type Day, type Meal, SLOTS } from "./view";

export function slotName(slot: string, language: Language): string {
  const known = SLOTS.find(([name]) => name === slot);
  return known === undefined ? slot : language.t(known[1]);
}

export function Week({ days, below, open }: { days: Day[]; below: Below; open(below: Below): void }) {
  const language = useLanguage();
  const { t } = language;
  if (days.length === 0) return <p class="soft">{t("planner.no_days")}</p>;
  return (
    <ol class="week" aria-label={t("planner.title")}>
      {days.map((day) => (
        <li key={day.date} class="day">
          <h2>
            <span class="weekday">{language.date(day.date, "weekday")}</span> <span class="small soft">{language.date(day.date, "dayOfMonth")}</span>
          </h2>
          <ul class="meals">
            {day.meals.map((meal) => (
              <Card key={meal.id} meal={meal} isOpen={below !== null && "meal" in below && below.meal === meal.id} open={() => open({ meal: meal.id })} />
            ))}
          </ul>
          <Button icon="plus" name={t("planner.add_on", { day: language.date(day.date, "short") })} press={() => open({ day: day.date })} />
        </li>
      ))}
    </ol>
  );
}

function Card({ meal, isOpen, open }: { meal: Meal; isOpen: boolean; open(): void }) {
  const language = useLanguage();
  const { t } = language;
  const matched = meal.ingredients.filter((one) => one.state === "matched").length;
  return (
    <li>
      <button type="button" class="meal" aria-expanded={isOpen} onClick={open}>
        <span class="small soft">{slotName(meal.slot, language)}</span>
        <span class="strong">{meal.title ?? t("planner.nameless")}</span>
        {meal.ingredients.length > 0 && <span class="small soft figures">{t("planner.matched_of", { count: matched, all: meal.ingredients.length })}</span>}
      </button>
    </li>
  );
}

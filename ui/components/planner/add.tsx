// The form for a new meal.

import { useEffect, useId, useState } from "preact/hooks";
import { type Calls, useLanguage } from "../../bridge/hooks";
import { Button } from "../../design/elements/button";
import { Hints, Input, Select } from "../../design/elements/field";
import { How } from "../../design/elements/state";
import type { Act } from "./planner";
import { type Day, SLOTS } from "./view";

/** As many, and so long, as the server takes. */
const MOST_INGREDIENTS = 40;
const LONGEST_INGREDIENT = 120;

interface AddProps {
  day: string;
  days: Day[];
  calls: Calls;
  act: Act;
  close(): void;
}

interface Draft {
  /** The day, by its place in the week and not its date: the week may turn while the form is open. */
  place: number;
  slot: string;
  title: string;
  servings: string;
  ingredients: string;
}

/** What is not right yet. */
interface Wrong {
  title: boolean;
  servings: boolean;
  ingredients: boolean;
}

function peopleOf({ servings }: Draft): number | undefined {
  return servings.trim() === "" ? undefined : Number(servings);
}

function linesOf({ ingredients }: Draft): string[] {
  return ingredients.split("\n").map((line) => line.trim()).filter((line) => line !== "");
}

function check(draft: Draft): Wrong {
  const [people, lines] = [peopleOf(draft), linesOf(draft)];
  return {
    title: draft.title.trim() === "",
    servings: people !== undefined && !(Number.isInteger(people) && people >= 1 && people <= 50),
    ingredients: lines.length > MOST_INGREDIENTS || lines.some((line) => [...line].length > LONGEST_INGREDIENT),
  };
}

function mealOf(draft: Draft) {
  const people = peopleOf(draft);
  return { slot: draft.slot, title: draft.title.trim(), ...(people === undefined ? {} : { servings: people }), ingredients: linesOf(draft).map((text) => ({ text })) };
}

export function AddMeal({ day, days, calls, act, close }: AddProps) {
  const { t } = useLanguage();
  const place = Math.max(0, days.findIndex((one) => one.date === day));
  const [draft, setDraft] = useState<Draft>({ place, slot: "dinner", title: "", servings: "", ingredients: "" });
  const [tried, setTried] = useState(false);
  // One for each day: how another one goes is not about this one.
  const key = `add ${day}`;
  useEffect(() => calls.clear(key), []);
  const wrong = check(draft);
  const date = (days[draft.place] ?? days.at(-1))?.date ?? day;
  const add = async (): Promise<void> => {
    setTried(true);
    if (wrong.title || wrong.servings || wrong.ingredients) return;
    const meal = mealOf(draft);
    const outcome = await act(key, { action: "add_meal", date, ...meal }, t("planner.added", { title: meal.title }));
    if (outcome?.kind === "done") close();
  };
  return (
    <>
      <h2>{t("planner.add")}</h2>
      <Fields draft={draft} date={date} days={days} wrong={tried ? wrong : undefined} set={(change) => setDraft({ ...draft, ...change })} add={() => void add()} />
      <div class="row">
        <Button look="primary" busy={calls.busy(key)} press={() => void add()}>
          {t("planner.add_now")}
        </Button>
        <Button look="quiet" press={close}>
          {t("common.cancel")}
        </Button>
      </div>
      <How progress={calls.of(key)} />
    </>
  );
}

interface FieldsProps {
  draft: Draft;
  date: string;
  days: Day[];
  wrong: Wrong | undefined;
  set(change: Partial<Draft>): void;
  add(): void;
}

function Fields({ draft, date, days, wrong, set, add }: FieldsProps) {
  const language = useLanguage();
  const { t } = language;
  const dates = days.map((one) => ({ value: one.date, label: language.date(one.date, "short") }));
  const wrongTitle = wrong?.title === true ? t("planner.wrong_title") : undefined;
  const wrongServings = wrong?.servings === true ? t("planner.wrong_servings") : undefined;
  const wrongLines = wrong?.ingredients === true ? t("planner.wrong_ingredients", { most: MOST_INGREDIENTS, longest: LONGEST_INGREDIENT }) : undefined;
  return (
    <>
      <div class="fields">
        <Select label={t("planner.day")} value={date} options={dates} change={(chosen) => set({ place: days.findIndex((one) => one.date === chosen) })} />
        <Select label={t("planner.slot")} value={draft.slot} options={SLOTS.map(([value, key]) => ({ value, label: t(key) }))} change={(slot) => set({ slot })} />
        <Input label={t("planner.what")} value={draft.title} change={(title) => set({ title })} enter={add} longest={100} required wrong={wrongTitle} />
        <Input label={t("planner.servings")} mode="numeric" value={draft.servings} change={(servings) => set({ servings })} enter={add} longest={2} wrong={wrongServings} />
      </div>
      <Lines value={draft.ingredients} change={(ingredients) => set({ ingredients })} wrong={wrongLines} />
    </>
  );
}

function Lines({ value, change, wrong }: { value: string; change(value: string): void; wrong: string | undefined }) {
  const { t } = useLanguage();
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{t("planner.ingredients")}</label>
      <textarea
        id={id}
        class="input"
        rows={5}
        value={value}
        aria-invalid={wrong ? true : undefined}
        aria-describedby={wrong ? `${id}-wrong` : undefined}
        onInput={(event) => change(event.currentTarget.value)}
      />
      <Hints id={id} wrong={wrong} />
    </div>
  );
}

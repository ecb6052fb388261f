// The form for a new meal.

import { useId, useState } from "preact/hooks";
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

export function AddMeal({ day, days, calls, act, close }: AddProps) {
  const language = useLanguage();
  const { t } = language;
  // The day of the week, and not the date: the week may turn while the form is open.
  const [place, setPlace] = useState(Math.max(0, days.findIndex((one) => one.date === day)));
  const date = (days[place] ?? days.at(-1))?.date ?? day;
  const [slot, setSlot] = useState("dinner");
  const [title, setTitle] = useState("");
  const [servings, setServings] = useState("");
  const [ingredients, setIngredients] = useState("");
  const [tried, setTried] = useState(false);
  const people = servings.trim() === "" ? undefined : Number(servings);
  const wrongPeople = people !== undefined && !(Number.isInteger(people) && people >= 1 && people <= 50);
  const lines = ingredients.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const wrongLines = lines.length > MOST_INGREDIENTS || lines.some((line) => [...line].length > LONGEST_INGREDIENT);

  const add = async (): Promise<void> => {
    setTried(true);
    if (title.trim() === "" || wrongPeople || wrongLines) return;
    const meal = { date, slot, title: title.trim(), ...(people === undefined ? {} : { servings: people }), ingredients: lines.map((text) => ({ text })) };
    const outcome = await act("add", { action: "add_meal", ...meal }, t("planner.added", { title: meal.title }));
    if (outcome?.kind === "done") close();
  };
  return (
    <>
      <h2>{t("planner.add")}</h2>
      <div class="fields">
        <Select label={t("planner.day")} value={date} options={days.map((one) => ({ value: one.date, label: language.date(one.date, "short") }))} change={(chosen) => setPlace(days.findIndex((one) => one.date === chosen))} />
        <Select label={t("planner.slot")} value={slot} options={SLOTS.map(([value, key]) => ({ value, label: t(key) }))} change={setSlot} />
        <Input
          label={t("planner.what")}
          value={title}
          change={setTitle}
          enter={() => void add()}
          longest={100}
          required
          wrong={tried && title.trim() === "" ? t("planner.wrong_title") : undefined}
        />
        <Input
          label={t("planner.servings")}
          mode="numeric"
          value={servings}
          change={setServings}
          enter={() => void add()}
          longest={2}
          wrong={tried && wrongPeople ? t("planner.wrong_servings") : undefined}
        />
      </div>
      <Lines
        value={ingredients}
        change={setIngredients}
        wrong={tried && wrongLines ? t("planner.wrong_ingredients", { most: MOST_INGREDIENTS, longest: LONGEST_INGREDIENT }) : undefined}
      />
      <div class="row">
        <Button look="primary" busy={calls.busy("add")} press={() => void add()}>
          {t("planner.add_now")}
        </Button>
        <Button look="quiet" press={close}>
          {t("common.cancel")}
        </Button>
      </div>
      <How progress={calls.of("add")} />
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

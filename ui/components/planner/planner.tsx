// A week of meals: seven columns where there is room, a list of days where there is not. One meal at a time is open below.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type Calls, useCalls, useLanguage } from "../../bridge/hooks";
import type { Json } from "../../bridge/protocol";
import { Button, Confirm } from "../../design/elements/button";
import { Heading, How, Reload, useReload } from "../../design/elements/state";
import { reachedIn } from "../../design/focus";
import { AddMeal } from "./add";
import { OpenMeal } from "./meal";
import type { Plan } from "./view";
import { weekAfter } from "./week";
import { Week } from "./grid";

const TOOL = "meal_planner";

/** What stands below the week: a meal, or the form for a new one on a day. */
export type Below = { meal: string } | { day: string } | null;

/** Runs one action of the tool for the week and shows the plan that it answers with. */
export type Act = (key: string, args: Json, done: string) => ReturnType<Calls["run"]>;

export function Planner({ view }: { view: Plan }) {
  const { t } = useLanguage();
  const calls = useCalls();
  const [below, setBelow] = useState<Below>(null);
  const week = view.week === undefined ? {} : { week: view.week };
  const reload = useReload({ action: "view", ...week }, calls, true);
  const act: Act = (key, args, done) => calls.run({ key, tool: TOOL, args: { ...week, ...args }, atStore: true, done, shows: true, writes: args.action !== "view" });
  const meal = view.days.flatMap((day) => day.meals).find((one) => below !== null && "meal" in below && one.id === below.meal);
  return (
    <>
      <Heading title={t("planner.title")}>
        <Reload busy={calls.busy("reload")} press={reload} />
      </Heading>
      <Turn view={view} busy={calls.busy("turn")} act={act} />
      <Budget view={view} />
      {view.diets.length > 0 && <p class="small soft">{t("planner.diets", { diets: view.diets.join(", ") })}</p>}
      <Week days={view.days} below={below} open={setBelow} />
      <How progress={calls.of("remove")} />
      {meal !== undefined && (
        <Below key={`meal ${meal.id}`} label={t("planner.meal")}>
          <OpenMeal meal={meal} calls={calls} act={act} close={() => setBelow((now) => (now === below ? null : now))} />
        </Below>
      )}
      {below !== null && "day" in below && (
        <Below key={`day ${below.day}`} label={t("planner.add")}>
          <AddMeal day={below.day} days={view.days} calls={calls} act={act} close={() => setBelow((now) => (now === below ? null : now))} />
        </Below>
      )}
      <Whole view={view} calls={calls} act={act} />
    </>
  );
}

/** Takes the focus when it opens, and gives it back when it closes: to what opened it, or what is left where that was. */
function Below({ label, children }: { label: string; children: ComponentChildren }) {
  const place = useRef<HTMLElement>(null);
  useEffect(() => {
    const openers = ancestorsOf(document.activeElement);
    place.current?.focus();
    return () => {
      if (document.hasFocus() && place.current?.contains(document.activeElement) === true) giveBack(openers);
    };
  }, []);
  return (
    <section class="panel stack" aria-label={label} tabIndex={-1} ref={place}>
      {children}
    </section>
  );
}

/** An element, what it is in, and so on. */
function ancestorsOf(element: Element | null): Element[] {
  return element === null ? [] : [element, ...ancestorsOf(element.parentElement)];
}

function giveBack([opener, ...around]: Element[]): void {
  if (opener instanceof HTMLElement && opener.isConnected) return opener.focus();
  const left = around.filter((one) => one.isConnected).map((one) => reachedIn(one)[0]);
  left.find((one) => one !== undefined)?.focus();
}

function Turn({ view, busy, act }: { view: Plan; busy: boolean; act: Act }) {
  const language = useLanguage();
  const { t } = language;
  const [first, last] = [view.days[0], view.days.at(-1)];
  const go = (weeks: number): void => {
    const week = view.week && weekAfter(view.week, weeks);
    if (week) void act("turn", { action: "view", week }, t("planner.turned"));
  };
  if (view.week === undefined || weekAfter(view.week, 0) === undefined) return null;
  return (
    <nav class="row" aria-label={t("planner.weeks")}>
      <Button icon="left" busy={busy} name={t("planner.week_before")} press={() => go(-1)} />
      <p class="strong">{first && last ? `${language.date(first.date, "day")} – ${language.date(last.date, "day")}` : view.week}</p>
      <Button icon="right" busy={busy} name={t("planner.week_after")} press={() => go(1)} />
    </nav>
  );
}

function Budget({ view }: { view: Plan }) {
  const language = useLanguage();
  const { t } = language;
  const { budget, total, over } = view;
  if (total === undefined && budget === undefined) return null;
  const share = budget === undefined || total === undefined || budget <= 0 ? undefined : Math.min(100, Math.round((total / budget) * 100));
  const shownTotal = total === undefined ? t("cart.no_total") : language.money(total);
  return (
    <div class="budget stack">
      <p class="row figures">
        <span class="strong">{budget === undefined ? t("planner.total", { total: shownTotal }) : t("planner.total_of", { total: shownTotal, budget: language.money(budget) })}</span>
        {over && <span class="badge danger">{t("planner.over")}</span>}
      </p>
      {share !== undefined && (
        <div class={`bar${over ? " over" : ""}`} aria-hidden="true">
          <div style={{ width: `${share}%` }} />
        </div>
      )}
    </div>
  );
}

function Whole({ view, calls, act }: { view: Plan; calls: Calls; act: Act }) {
  const { t } = useLanguage();
  if (view.days.every((day) => day.meals.length === 0)) return null;
  return (
    <>
      <div class="row">
        <Button busy={calls.busy("match")} press={() => void act("match", { action: "match" }, t("planner.match_done"))}>
          {t("planner.match")}
        </Button>
        <Button look="primary" icon="bag" busy={calls.busy("send")} press={() => void act("send", { action: "send_to_cart" }, t("planner.sent"))}>
          {t("planner.send")}
        </Button>
        <Confirm label={t("planner.clear")} question={t("planner.clear_sure")} yes={t("planner.clear_yes")} busy={calls.busy("clear")} press={() => void act("clear", { action: "clear" }, t("planner.cleared"))} />
      </div>
      <How progress={calls.of("match")} />
      <How progress={calls.of("send")} />
      <How progress={calls.of("clear")} />
    </>
  );
}

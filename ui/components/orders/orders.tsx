// What the person marked as ordered, as a timeline. It is no record of Kroger's: the page says so.

import { useEffect, useRef, useState } from "preact/hooks";
import { type Calls, useCalls, useLanguage, useRuntime } from "../../bridge/hooks";
import { notesOf } from "../../bridge/runtime";
import { Button, Confirm } from "../../design/elements/button";
import { nameOf } from "../../design/elements/product";
import { Empty, Heading, How, Notes, Reload, useReload } from "../../design/elements/state";
import type { Language } from "../../design/language";
import type { Order, OrdersView } from "./view";

const TOOL = "order_history";
/** Orders shown at first, and more at a time. */
const PAGE = 20;
/** Asked for: as many as the tool gives, so that none is out of reach. */
export const ALL = { limit: 200 };

export function Orders({ view }: { view: OrdersView }) {
  const language = useLanguage();
  const { t } = language;
  const calls = useCalls();
  const reload = useReload({ action: "list", ...ALL }, calls);
  const [shown, setShown] = useState(PAGE);
  const place = useRef<HTMLOListElement>(null);
  // The button that asked for older ones goes with the last of them.
  useEffect(() => {
    const first = shown > PAGE ? place.current?.children[shown - PAGE] : undefined;
    if (document.hasFocus() && document.activeElement === document.body) first?.querySelector<HTMLElement>("summary, button")?.focus();
  }, [shown]);
  const mark = (): void => void calls.run({ key: "mark", tool: TOOL, args: { action: "mark_ordered", ...ALL }, done: t("orders.marked"), shows: true, writes: true });
  const older = async (): Promise<void> => {
    if (view.orders.length <= shown) await calls.run({ key: "older", tool: TOOL, args: { action: "list", ...ALL }, done: "", shows: true });
    setShown(shown + PAGE);
  };
  return (
    <>
      <Heading title={t("orders.title")}>
        <Reload busy={calls.busy("reload")} press={reload} />
      </Heading>
      <p class="soft">{t("orders.own_record")}</p>
      <div class="row apart">
        <Button look="primary" busy={calls.busy("mark")} press={mark}>
          {t("orders.mark")}
        </Button>
        {view.savings !== undefined && view.savings > 0 && <p class="strong saves">{t("orders.saved_in_all", { amount: language.money(view.savings) })}</p>}
      </div>
      <How progress={calls.of("mark")} />
      <How progress={calls.of("forget")} />
      {view.orders.length === 0 && <Empty icon="bag" text={t("orders.empty")} />}
      <ol class="timeline" ref={place} aria-label={t("orders.title")}>
        {view.orders.slice(0, shown).map((order) => (
          <One key={order.id} order={order} calls={calls} />
        ))}
      </ol>
      {(view.orders.length > shown || view.total > view.orders.length) && (
        <Button busy={calls.busy("older")} press={() => void older()}>
          {t("orders.older")}
        </Button>
      )}
      <How progress={calls.of("older")} />
    </>
  );
}

function One({ order, calls }: { order: Order; calls: Calls }) {
  const runtime = useRuntime();
  const { language, view } = runtime.state;
  const { t } = language;
  const [notes, setNotes] = useState<string[]>([]);
  const when = order.placedAt === undefined ? t("orders.no_date") : language.date(order.placedAt, "moment");
  const again = async (): Promise<void> => {
    setNotes([]);
    const done = t("orders.again_done");
    const outcome = await calls.run({ key: order.id, tool: TOOL, args: { action: "reorder", order_id: order.id }, done, writes: true });
    if (outcome?.kind !== "done") return;
    // The others stand on the page already.
    const told = notesOf(outcome.view).filter((note) => !notesOf(view).includes(note));
    setNotes(told);
    if (told.length > 0) runtime.sayText([done, ...told].join(" "));
  };
  const forget = (): void => void calls.run({ key: "forget", tool: TOOL, args: { action: "forget", order_id: order.id, ...ALL }, done: t("orders.forgotten"), shows: true, writes: true });
  return (
    <li class="order">
      <div class="panel stack">
        <div class="row apart">
          <h2>{when}</h2>
          <p class="strong figures">{order.total === undefined ? <span class="soft">{t("orders.no_total")}</span> : language.money(order.total)}</p>
        </div>
        <p class="row small">
          <span class="badge">{t("orders.state")}</span>
          {order.items.length > 0 && <span class="soft">{t("orders.items", { count: order.items.length })}</span>}
          {order.savings !== undefined && order.savings > 0 && <span class="saves strong">{t("product.saves", { amount: language.money(order.savings) })}</span>}
        </p>
        {order.items.length > 0 && <Items order={order} />}
        {order.events.length > 0 && <Events order={order} />}
        <div class="row">
          <Button icon="again" busy={calls.busy(order.id)} name={t("orders.again_name", { when })} press={() => void again()}>
            {t("orders.again")}
          </Button>
          <Confirm label={t("orders.forget")} name={t("orders.forget_name", { when })} question={t("orders.forget_sure")} yes={t("orders.forget_yes")} press={forget} />
        </div>
        <How progress={calls.of(order.id)} />
        <Notes notes={notes} />
      </div>
    </li>
  );
}

function Items({ order }: { order: Order }) {
  const language = useLanguage();
  return (
    <details>
      <summary>{language.t("orders.show_items")}</summary>
      <ul class="bought">
        {order.items.map((item, index) => (
          <li key={index}>
            <span class="figures">{language.amount(item.quantity)} ×</span>
            <span>{nameOf(item, language)}</span>
            <span class="figures">{item.total === undefined ? "" : language.money(item.total)}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}

/** In the person's language where the kind of event is one that is known here. */
function eventOf({ kind, what }: Order["events"][number], { t }: Language): string {
  if (kind === "marked") return t("orders.event_marked");
  return kind === "reordered" ? t("orders.event_reordered") : what;
}

function Events({ order }: { order: Order }) {
  const language = useLanguage();
  return (
    <ul class="events small" aria-label={language.t("orders.events")}>
      {order.events.map((event, index) => (
        <li key={index}>
          {event.at !== undefined && <span class="soft">{language.date(event.at, "moment")} · </span>}
          {eventOf(event, language)}
        </li>
      ))}
    </ul>
  );
}

// The cart: quantities, removal, totals; and what is not known of it.

import { useEffect, useState } from "preact/hooks";
import { type Calls, useCalls, useLanguage, useRuntime, useSettled } from "../../bridge/hooks";
import { Button, Confirm, LinkButton } from "../../design/elements/button";
import { Quantity } from "../../design/elements/field";
import { nameOf } from "../../design/elements/product";
import { Empty, Heading, How, Reload, SignIn, useReload } from "../../design/elements/state";
import type { CartView, Item } from "./view";

const TOOL = "manage_cart";
/** A quantity is sent once it has stood still for so long, in milliseconds. */
const SETTLED_MS = 500;

export function Cart({ view }: { view: CartView }) {
  const { t } = useLanguage();
  const calls = useCalls();
  const reload = useReload({ action: "view" }, calls);
  const clear = (): void => void calls.run({ key: "all", tool: TOOL, args: { action: "clear" }, done: t("cart.cleared"), shows: true, writes: true });
  return (
    <>
      <Heading title={t("cart.title")}>
        <Reload busy={calls.busy("reload")} press={reload} />
      </Heading>
      {!view.signedIn && <SignIn url={view.signInUrl} reload={reload} />}
      <p class="soft">{view.label ?? t(view.isWhole ? "cart.whole" : "cart.part")}</p>
      {view.items.some((item) => item.unknown) && (
        <div class="notice warning">
          <p>{t("cart.some_unknown")}</p>
        </div>
      )}
      {view.items.length === 0 ? <Empty icon="bag" text={t("cart.empty")} /> : <Items view={view} calls={calls} />}
      <How progress={calls.of("all")} />
      <Totals view={view} />
      <div class="row apart">
        <LinkButton url={view.url} look="primary">
          {t("cart.open")}
        </LinkButton>
        {view.items.length > 0 && <Confirm label={t("cart.clear")} question={t("cart.clear_sure")} yes={t("cart.clear_yes")} busy={calls.busy("all")} press={clear} />}
      </div>
    </>
  );
}

function Items({ view, calls }: { view: CartView; calls: Calls }) {
  const { t } = useLanguage();
  return (
    <ul class="items" aria-label={t("cart.title")}>
      {view.items.map((item) => (
        <Row key={item.id} item={item} calls={calls} />
      ))}
    </ul>
  );
}

function Row({ item, calls }: { item: Item; calls: Calls }) {
  const runtime = useRuntime();
  const { language } = runtime.state;
  const { t } = language;
  const name = nameOf(item, language);
  const [quantity, setQuantity] = useState(item.quantity);
  useEffect(() => setQuantity(item.quantity), [item.quantity]);
  const update = async (wanted: number): Promise<void> => {
    if (wanted === item.quantity) return;
    const args = { action: "update", product_id: item.id, quantity: wanted };
    const outcome = await calls.run({ key: item.id, tool: TOOL, args, done: t("cart.updated", { count: wanted, name }), shows: true, writes: true });
    if (outcome?.kind === "failed") setQuantity(item.quantity);
  };
  useSettled(quantity, SETTLED_MS, (wanted) => void update(wanted));
  const remove = (): void => void calls.run({ key: item.id, tool: TOOL, args: { action: "remove", product_id: item.id }, done: t("cart.removed", { name }), shows: true, writes: true });
  return (
    <li class="item panel">
      <div class="stack what">
        <h2>{name}</h2>
        <Facts item={item} />
      </div>
      <div class="row">
        <Quantity of={name} value={quantity} change={setQuantity} off={calls.busy(item.id)} />
        <Button icon="cross" look="quiet" busy={calls.busy(item.id)} name={t("cart.remove", { name })} press={remove} />
      </div>
      <p class="sum strong figures">{item.total === undefined ? <span class="soft small">{t("product.no_price")}</span> : language.money(item.total)}</p>
      {calls.of(item.id).state !== "done" && <How progress={calls.of(item.id)} />}
    </li>
  );
}

function Facts({ item }: { item: Item }) {
  const language = useLanguage();
  const { t } = language;
  const way = item.delivered === undefined ? undefined : t(item.delivered ? "product.delivery" : "product.curbside");
  const each = item.price === undefined ? undefined : t("cart.each", { amount: language.money(item.price) });
  const sent = item.sentAt === undefined ? undefined : t("cart.sent", { when: language.date(item.sentAt, "moment") });
  return (
    <>
      <p class="small soft">{[way, each, sent].filter((part) => part !== undefined).join(" · ")}</p>
      {item.unknown && (
        <div>
          <span class="badge warning">{t("cart.unknown")}</span>
        </div>
      )}
    </>
  );
}

function Totals({ view }: { view: CartView }) {
  const language = useLanguage();
  const { t } = language;
  return (
    <dl class="totals panel figures">
      <dt>{t("cart.count")}</dt>
      <dd>{language.amount(view.count)}</dd>
      {view.savings !== undefined && view.savings > 0 && (
        <>
          <dt>{t("cart.savings")}</dt>
          <dd class="saves">{language.money(view.savings)}</dd>
        </>
      )}
      <dt class="strong">{t("cart.total")}</dt>
      <dd class="strong big">{view.total === undefined ? t("cart.no_total") : language.money(view.total)}</dd>
    </dl>
  );
}

// The cart: quantities, removal, totals; and what is not known of it.

import { useEffect, useState } from "preact/hooks";
import { type Calls, useCalls, useLanguage, useRuntime, useSettled } from "../../bridge/hooks";
import type { Json } from "../../bridge/protocol";
import { Button, Confirm, LinkButton } from "../../design/elements/button";
import { Quantity } from "../../design/elements/field";
import { nameOf } from "../../design/elements/product";
import { Empty, Heading, How, Reload, SignIn, useReload } from "../../design/elements/state";
import type { Language } from "../../design/language";
import { type CartView, type Item, numberOf } from "./view";

const TOOL = "manage_cart";
/** A quantity is sent once it has stood still for so long, in milliseconds. */
const SETTLED_MS = 500;

/** Runs one action of the tool and shows the cart that it answers with. */
function act(calls: Calls, key: string, args: Json, done: string) {
  return calls.run({ key, tool: TOOL, args, atStore: true, done, shows: true, writes: true });
}

export function Cart({ view }: { view: CartView }) {
  const { t } = useLanguage();
  const calls = useCalls();
  const reload = useReload({ action: "view" }, calls, true);
  const clear = (): void => void act(calls, "all", { action: "clear" }, t("cart.cleared"));
  return (
    <>
      <Heading title={t("cart.title")}>
        <Reload busy={calls.busy("reload")} press={reload} />
      </Heading>
      {!view.signedIn && <SignIn url={view.signInUrl} reload={reload} />}
      <p class="soft">{view.label ?? t(view.isWhole ? "cart.whole" : "cart.part")}</p>
      {view.items.some((item) => item.unknown > 0) && (
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
        <Row key={item.key} item={item} items={view.items} calls={calls} />
      ))}
    </ul>
  );
}

function Row({ item, items, calls }: { item: Item; items: Item[]; calls: Calls }) {
  const runtime = useRuntime();
  const { language } = runtime.state;
  const { t } = language;
  const same = items.filter((other) => other.id === item.id);
  const name = same.length > 1 ? `${nameOf(item, language)}, ${wayOf(item, language)}` : nameOf(item, language);
  const [quantity, setQuantity] = useState(item.quantity);
  useEffect(() => setQuantity(item.quantity), [item.quantity]);
  // The number of a product is one for all its ways, so that only one of them is changed at a time.
  const busy = same.some((other) => calls.busy(other.key));
  const meant = { product_id: item.id, ...(item.modality === undefined ? {} : { modality: item.modality }) };
  const update = async (wanted: number): Promise<void> => {
    if (wanted === item.quantity) return;
    const args = { action: "update", ...meant, quantity: numberOf(item.id, items) - item.quantity + wanted };
    const outcome = busy ? null : await act(calls, item.key, args, t("cart.updated", { count: wanted, name }));
    if (outcome === null || outcome.kind === "failed") setQuantity(item.quantity);
  };
  useSettled(quantity, SETTLED_MS, (wanted) => void update(wanted));
  const remove = (): void => void act(calls, item.key, { action: "remove", ...meant }, t("cart.removed", { name }));
  return (
    <li class="item panel">
      <div class="stack what">
        <h2>{nameOf(item, language)}</h2>
        <Facts item={item} />
      </div>
      <div class="row">
        <Quantity of={name} value={quantity} change={setQuantity} off={busy} />
        <Button icon="cross" look="quiet" busy={busy} name={t("cart.remove", { name })} press={remove} />
      </div>
      <p class="sum strong figures">{item.total === undefined ? <span class="soft small">{t("product.no_price")}</span> : language.money(item.total)}</p>
      {calls.of(item.key).state !== "done" && <How progress={calls.of(item.key)} />}
    </li>
  );
}

function wayOf({ modality }: Item, { t }: Language): string {
  return modality === undefined ? "" : t(modality === "DELIVERY" ? "product.delivery" : "product.curbside");
}

function Facts({ item }: { item: Item }) {
  const language = useLanguage();
  const { t } = language;
  const each = item.price === undefined ? undefined : t("cart.each", { amount: language.money(item.price) });
  const sent = item.sentAt === undefined ? undefined : t("cart.sent", { when: language.date(item.sentAt, "moment") });
  return (
    <>
      <p class="small soft">{[wayOf(item, language), each, sent].filter((part) => part !== undefined && part !== "").join(" · ")}</p>
      {item.unknown > 0 && (
        <div>
          <span class="badge warning">{item.unknown === item.quantity ? t("cart.unknown") : t("cart.unknown_some", { count: item.unknown })}</span>
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

// The cart: quantities, removal, totals; and what is not known of it.

import { type Call, type Calls, useCalls, useLanguage, useRuntime } from "../../bridge/hooks";
import type { Json } from "../../bridge/protocol";
import { Button, Confirm, LinkButton } from "../../design/elements/button";
import { Quantity } from "../../design/elements/field";
import { nameOf } from "../../design/elements/product";
import { Empty, Heading, How, Reload, SignIn, useReload } from "../../design/elements/state";
import type { Language } from "../../design/language";
import { type CartView, type Item, numberOf, readCart } from "./view";

const TOOL = "manage_cart";
const WHOLE = { what: "cart.whole", clear: "cart.clear", sure: "cart.clear_sure", cleared: "cart.cleared", removed: "cart.removed" } as const;
const HERE = { what: "cart.part", clear: "cart.clear_here", sure: "cart.clear_sure_here", cleared: "cart.cleared_here", removed: "cart.removed_here" } as const;
/** A quantity is sent once it has stood still for so long, in milliseconds. */
const SETTLED_MS = 500;

/** Runs one action of the tool and shows the cart that it answers with. */
function act(calls: Calls, key: string, args: Call["args"], done: string, more: Partial<Call> = {}) {
  return calls.run({ key, tool: TOOL, args, atStore: true, done, shows: true, writes: true, ...more });
}

export function Cart({ view }: { view: CartView }) {
  const { t } = useLanguage();
  const calls = useCalls();
  const reload = useReload({ action: "view" }, calls, true);
  // Where only what was put in from here is known, taking out changes nothing at Kroger.
  const words = view.isWhole ? WHOLE : HERE;
  const clear = (): void => void act(calls, "all", { action: "clear" }, t(words.cleared), { after: "ended" });
  return (
    <>
      <Heading title={t("cart.title")}>
        <Reload busy={calls.busy("reload")} press={reload} />
      </Heading>
      {view.signInUrl !== undefined && (
        <div class="notice info">
          <p>{t("cart.sign_in_first")}</p>
          <SignIn url={view.signInUrl} />
        </div>
      )}
      <p class="soft">{t(words.what)}</p>
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
        {view.items.length > 0 && <Confirm label={t(words.clear)} question={t(words.sure)} yes={t("cart.clear_yes")} busy={calls.busy("all")} press={clear} />}
      </div>
    </>
  );
}

function Items({ view, calls }: { view: CartView; calls: Calls }) {
  const { t } = useLanguage();
  return (
    <ul class="items" aria-label={t("cart.title")}>
      {view.items.map((item) => (
        <Row key={item.key} item={item} view={view} calls={calls} />
      ))}
    </ul>
  );
}

function Row({ item, view, calls }: { item: Item; view: CartView; calls: Calls }) {
  const runtime = useRuntime();
  const { language } = runtime.state;
  const { t } = language;
  const same = view.items.filter((other) => other.id === item.id);
  const name = same.length > 1 ? `${nameOf(item, language)}, ${wayOf(item, language)}` : nameOf(item, language);
  const busy = same.some((other) => calls.busy(other.key));
  // What Kroger ships stays so; nobody can ask for it. Beside other ways of the product it cannot be told apart in a call.
  const isFixed = item.modality === "SHIP" && same.length > 1;
  const way = item.modality === "SHIP" ? undefined : item.modality;
  const meant = { product_id: item.id, ...(way === undefined ? {} : { modality: way }) };
  // The number of a product is one for all its ways, so that they are changed one after the other, each by what is known when it is its turn.
  const line = item.id;
  const quantity = (calls.wished(item.key, "quantity") as number | undefined) ?? item.quantity;
  const update = (wanted: number): void => {
    const args = (isKnown: boolean): Json | null => quantityOf({ ...item, quantity: wanted }, readCart(runtime.state.view).items, meant, isKnown);
    void act(calls, item.key, args, t("cart.updated", { count: wanted, name }), { line, wish: { of: "quantity", value: wanted }, settles: SETTLED_MS });
  };
  const remove = (): void => void act(calls, item.key, { action: "remove", ...meant }, t((view.isWhole ? WHOLE : HERE).removed, { name }), { line });
  return (
    <li class="item panel">
      <div class="stack what">
        <h2>{nameOf(item, language)}</h2>
        <Facts item={item} />
      </div>
      <div class="row">
        <Quantity of={name} value={quantity} change={update} off={isFixed || calls.busy("all")} />
        <Button icon="cross" off={isFixed} look="quiet" busy={busy} name={t("cart.remove", { name })} press={remove} />
      </div>
      <p class="sum strong figures">{item.total === undefined ? <span class="soft small">{t("product.no_price")}</span> : language.money(item.total)}</p>
      {calls.of(item.key).state !== "done" && <How progress={calls.of(item.key)} />}
    </li>
  );
}

/** The call that brings one way of a product to the quantity of `item`. Null where it is known to be there, or is gone. */
function quantityOf(item: Item, items: Item[], meant: Json, isKnown: boolean): Json | null {
  const now = items.find((one) => one.key === item.key);
  if (now === undefined || (isKnown && now.quantity === item.quantity)) return null;
  return { action: "update", ...meant, quantity: numberOf(item.id, items) - now.quantity + item.quantity };
}

function wayOf({ modality }: Item, { t }: Language): string {
  if (modality === "SHIP") return t("product.ship");
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

// Coupons to clip, and what is on sale.

import { useRef, useState } from "preact/hooks";
import { type Calls, useCalls, useLanguage, useRuntime } from "../../bridge/hooks";
import { text } from "../../bridge/read";
import { Button } from "../../design/elements/button";
import { Input, Select } from "../../design/elements/field";
import { AddToCart, Picture, PriceTag, cartKey, nameOf } from "../../design/elements/product";
import { Empty, Heading, How, Reload } from "../../design/elements/state";
import type { Language } from "../../design/language";
import type { Product } from "../../design/product";
import { type Coupon, type CouponsView, categoriesOf, fits, isOver } from "./view";

const TOOL = "digital_coupons";
/** Coupons that end within so many days are marked. */
const SOON = 3;

export function Coupons({ view }: { view: CouponsView }) {
  const runtime = useRuntime();
  const { t } = runtime.state.language;
  const calls = useCalls();
  const [listed, setListed] = useState(text(runtime.state.input, "category") ?? "");
  const category = (calls.wished("list", "category") as string | undefined) ?? listed;
  const look = async (wanted: string): Promise<void> => {
    const args = wanted === "" ? { action: "list" } : { action: "list", category: wanted };
    const outcome = await calls.run({ key: "list", tool: TOOL, args, atStore: true, done: t("common.reloaded"), shows: true, wish: { of: "category", value: wanted } });
    if (outcome?.kind === "done") setListed(wanted);
  };
  return (
    <>
      <Heading title={t("coupons.title")}>
        <Reload busy={calls.busy("list")} press={() => void look(category)} />
      </Heading>
      {calls.of("list").state !== "done" && <How progress={calls.of("list")} />}
      <ToClip view={view} calls={calls} category={category} look={(wanted) => void look(wanted)} />
      {view.offers.length > 0 && <Offers offers={view.offers} calls={calls} />}
    </>
  );
}

function ToClip({ view, calls, category, look }: { view: CouponsView; calls: Calls; category: string; look(category: string): void }) {
  const { t, locale } = useLanguage();
  const [words, setWords] = useState("");
  // Once one category is listed, the others must still be there to choose.
  const known = useRef(new Set<string>());
  for (const found of categoriesOf(view.coupons, locale)) known.current.add(found);
  if (category !== "") known.current.add(category);
  const shown = view.coupons.filter((coupon) => fits(coupon, words));
  // What is on sale is asked for by category: without one there is no answer.
  const all = view.canClip || view.coupons.length > 0 || category === "" ? [{ value: "", label: t("coupons.all") }] : [];
  const options = [...all, ...[...known.current].sort((a, b) => a.localeCompare(b, locale)).map((value) => ({ value, label: value }))];
  return (
    <section class="stack" aria-label={t("coupons.coupons")}>
      <h2>{t("coupons.coupons")}</h2>
      {!view.canClip && <p class="soft">{t("coupons.no_clip")}</p>}
      {known.current.size + view.coupons.length > 0 && (
        <div class="find">
          <Select label={t("coupons.category")} value={category} options={options} change={look} />
          <Input label={t("coupons.words")} value={words} change={setWords} longest={100} />
        </div>
      )}
      {shown.length === 0 && <Empty icon="tag" text={t("coupons.empty")} />}
      <ul class="coupons">
        {shown.map((coupon) => (
          <One key={coupon.id} coupon={coupon} canClip={view.canClip} calls={calls} />
        ))}
      </ul>
    </section>
  );
}

function One({ coupon, canClip, calls }: { coupon: Coupon; canClip: boolean; calls: Calls }) {
  const runtime = useRuntime();
  const { language } = runtime.state;
  const { t } = language;
  const [clipped, setClipped] = useState(false);
  const title = coupon.title ?? t("coupons.nameless");
  const clip = async (): Promise<void> => {
    const outcome = await calls.run({ key: coupon.id, tool: TOOL, args: { action: "clip", coupon_id: coupon.id }, done: t("coupons.clipped_now", { title }), writes: true });
    if (outcome?.kind === "done") setClipped(true);
  };
  return (
    <li class="coupon panel">
      {coupon.value !== undefined && <p class="value figures">{language.money(coupon.value)}</p>}
      <div class="stack">
        <h3>{title}</h3>
        {coupon.description !== undefined && <p>{coupon.description}</p>}
        <Until coupon={coupon} />
      </div>
      <div class="act stack">
        {clipped || coupon.clipped ? (
          <p class="badge success">{t("coupons.clipped")}</p>
        ) : (
          canClip &&
          !isOver(coupon) && (
            <Button busy={calls.busy(coupon.id)} name={t("coupons.clip_name", { title })} press={() => void clip()}>
              {t("coupons.clip")}
            </Button>
          )
        )}
        {calls.of(coupon.id).state !== "done" && <How progress={calls.of(coupon.id)} />}
      </div>
    </li>
  );
}

function Until({ coupon }: { coupon: Coupon }) {
  const language = useLanguage();
  const { t } = language;
  const { daysLeft, until, products, category } = coupon;
  const soon = daysLeft !== undefined && daysLeft <= SOON;
  return (
    <p class="row small soft">
      {category !== undefined && <span>{category}</span>}
      {until !== undefined && <span>{t("coupons.until", { date: language.date(until, "day") })}</span>}
      {soon && <span class="badge warning">{leftOf(daysLeft, language)}</span>}
      {products > 0 && <span>{t("coupons.products", { count: products })}</span>}
    </p>
  );
}

function leftOf(days: number, { t }: Language): string {
  if (days < 0) return t("coupons.over");
  return days === 0 ? t("coupons.last_day") : t("coupons.days_left", { count: days });
}

function Offers({ offers, calls }: { offers: Product[]; calls: Calls }) {
  const { t } = useLanguage();
  return (
    <section class="stack" aria-label={t("coupons.offers")}>
      <h2>{t("coupons.offers")}</h2>
      <ul class="offers">
        {offers.map((product) => (
          <Offer key={product.id} product={product} calls={calls} />
        ))}
      </ul>
    </section>
  );
}

function Offer({ product, calls }: { product: Product; calls: Calls }) {
  const language = useLanguage();
  return (
    <li class="offer panel">
      <Picture url={product.image} />
      <div class="stack">
        <h3>{nameOf(product, language)}</h3>
        <p class="small soft">{[product.brand, product.size].filter((part) => part !== undefined).join(" · ")}</p>
        <PriceTag price={product.price} byWeight={product.byWeight} />
        {product.endsAt !== undefined && <p class="small soft">{language.t("coupons.until", { date: language.date(product.endsAt, "day") })}</p>}
      </div>
      <div class="act stack">
        <AddToCart product={product} calls={calls} />
        <How progress={calls.of(cartKey(product))} />
      </div>
    </li>
  );
}

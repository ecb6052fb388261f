// How products look wherever they are shown.

import { useState } from "preact/hooks";
import { type Calls, useLanguage, useRuntime } from "../../bridge/hooks";
import type { Language } from "../language";
import { type Price, type Product, isOut } from "../product";
import { Button } from "./button";
import { Quantity } from "./field";
import { Icon } from "./icon";

/** A picture where the host lets it load, a drawing in every other case. It tells nothing that the text does not. */
export function Picture({ url }: { url: string | undefined }) {
  const runtime = useRuntime();
  const [broken, setBroken] = useState<string | null>(null);
  const shown = url !== undefined && broken !== url && runtime.mayShow(url);
  return (
    <div class="picture">
      {shown ? <img src={url} alt="" loading="lazy" decoding="async" referrerpolicy="no-referrer" onError={() => setBroken(url)} /> : <Icon name="bag" />}
    </div>
  );
}

export function PriceTag({ price, byWeight = false }: { price: Price | undefined; byWeight?: boolean }) {
  const language = useLanguage();
  const { t } = language;
  if (price === undefined) return <p class="price soft">{t("product.no_price")}</p>;
  const was = price.onSale && price.regular !== undefined && price.regular > price.current ? price.regular : undefined;
  return (
    <p class="price row figures">
      <span class="now">
        {language.money(price.current)}
        {price.unit !== undefined && ` / ${price.unit}`}
      </span>
      {price.eachAbout !== undefined && <span class="small soft">{t("product.each_about", { amount: language.money(price.eachAbout) })}</span>}
      {byWeight && <span class="small soft">{t("product.by_weight")}</span>}
      {was !== undefined && (
        <>
          <span class="unseen">{t("product.was")}</span>
          <s>{language.money(was)}</s>
        </>
      )}
      {price.savings !== undefined && price.savings > 0 && <span class="saves small">{t("product.saves", { amount: language.money(price.savings) })}</span>}
    </p>
  );
}

export function Stock({ product }: { product: Product }) {
  const { t } = useLanguage();
  if (isOut(product)) return <span class="badge danger">{t("product.out")}</span>;
  if (product.stock === "LOW") return <span class="badge warning">{t("product.low")}</span>;
  if (product.stock === "HIGH") return <span class="badge success">{t("product.in_stock")}</span>;
  return null;
}

export function nameOf(product: { name: string | undefined }, language: Language): string {
  return product.name ?? language.t("product.nameless");
}

/** Quantity and button that add a product to the cart. What became of it is told by `How` with the same key. */
export function AddToCart({ product, calls }: { product: Product; calls: Calls }) {
  const runtime = useRuntime();
  const { language } = runtime.state;
  const [quantity, setQuantity] = useState(1);
  const name = nameOf(product, language);
  const key = cartKey(product);
  const add = (): void => {
    // No modality: the server knows how the person prefers to get things.
    const args = { action: "add", product_id: product.id, quantity };
    const done = language.t("product.added", { count: quantity, name });
    void calls.run({ key, tool: "manage_cart", args, atStore: true, done, writes: true });
  };
  return (
    <div class="row add">
      <Quantity of={name} value={quantity} change={setQuantity} />
      <Button look="primary" icon="bag" busy={calls.busy(key)} off={isOut(product)} name={language.t("product.add_name", { name })} press={add}>
        {language.t("product.add")}
      </Button>
    </div>
  );
}

export function cartKey(product: Product): string {
  return `cart ${product.id}`;
}

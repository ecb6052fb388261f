import { type Calls, useLanguage } from "../../bridge/hooks";
import { AddToCart, Picture, PriceTag, Stock, cartKey, nameOf } from "../../design/elements/product";
import { How } from "../../design/elements/state";
import type { Product } from "../../design/product";
import type { Layout } from "./grid";
import { SaveToList, listKey } from "./save";

export function Card({ product, layout, calls }: { product: Product; layout: Layout; calls: Calls }) {
  const language = useLanguage();
  return (
    <li class="product panel">
      {layout !== "compact" && <Picture url={product.image} />}
      <div class="about stack">
        <h2>{nameOf(product, language)}</h2>
        <Line product={product} />
        <PriceTag price={product.price} byWeight={product.byWeight} />
        {layout !== "compact" && <Details product={product} />}
      </div>
      <div class="act stack">
        <AddToCart product={product} calls={calls} />
        <How progress={calls.of(cartKey(product))} />
        {layout !== "compact" && <SaveToList product={product} calls={calls} />}
        <How progress={calls.of(listKey(product))} />
      </div>
    </li>
  );
}

function Line({ product }: { product: Product }) {
  const parts = [product.brand, product.size].filter((part) => part !== undefined);
  return (
    <p class="row small soft">
      {parts.length > 0 && <span>{parts.join(" · ")}</span>}
      <Stock product={product} />
    </p>
  );
}

function Details({ product }: { product: Product }) {
  const { t } = useLanguage();
  const ways = product.ways.map((way) => t(way)).join(", ");
  return (
    <>
      {product.aisle !== undefined && <p class="small soft">{t("product.aisle", { aisle: product.aisle })}</p>}
      {ways !== "" && <p class="small soft">{ways}</p>}
    </>
  );
}

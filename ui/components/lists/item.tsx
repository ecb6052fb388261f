import { useEffect, useState } from "preact/hooks";
import { type Calls, useLanguage, useSettled } from "../../bridge/hooks";
import { Button } from "../../design/elements/button";
import { Check, Quantity } from "../../design/elements/field";
import { How } from "../../design/elements/state";
import { act } from "./lists";
import type { Item } from "./view";

/** A quantity is sent once it has stood still for so long, in milliseconds. */
const SETTLED_MS = 500;

export function Row({ list, item, calls }: { list: string; item: Item; calls: Calls }) {
  const language = useLanguage();
  const { t } = language;
  const text = item.text ?? t("product.nameless");
  const key = `item ${item.id}`;
  const ids = { list_id: list, item_id: item.id };
  const [quantity, setQuantity] = useState(item.quantity);
  useEffect(() => setQuantity(item.quantity), [item.quantity]);
  const settle = async (wanted: number): Promise<void> => {
    if (wanted === item.quantity) return;
    const outcome = await act(calls, key, { action: "update_item", ...ids, quantity: wanted }, t("lists.changed", { text }));
    if (outcome?.kind === "failed") setQuantity(item.quantity);
  };
  useSettled(quantity, SETTLED_MS, (wanted) => void settle(wanted));
  const [ticked, setTicked] = useState(item.checked);
  useEffect(() => setTicked(item.checked), [item.checked]);
  const tick = async (checked: boolean): Promise<void> => {
    setTicked(checked);
    const outcome = await act(calls, key, { action: "update_item", ...ids, checked }, t(checked ? "lists.ticked" : "lists.unticked", { text }));
    if (outcome?.kind !== "done") setTicked(item.checked);
  };
  const remove = (): void => void act(calls, key, { action: "remove_item", ...ids }, t("lists.removed", { text }));
  return (
    <li class={`item${ticked ? " ticked" : ""}`} aria-busy={calls.busy(key)}>
      <Check checked={ticked} change={(checked) => void tick(checked)}>
        <span class="what">{text}</span>
        {item.product === undefined && <span class="small soft"> {t("lists.no_product")}</span>}
      </Check>
      <p class="figures price">{item.price === undefined ? "" : language.money(item.price * item.quantity)}</p>
      <div class="row">
        <Quantity of={text} value={quantity} change={setQuantity} />
        <Button icon="cross" look="quiet" busy={calls.busy(key)} name={t("lists.remove", { text })} press={remove} />
      </div>
      {calls.of(key).state !== "done" && <How progress={calls.of(key)} />}
    </li>
  );
}

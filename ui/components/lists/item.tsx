import { type Calls, useRuntime } from "../../bridge/hooks";
import type { Json } from "../../bridge/protocol";
import { Button } from "../../design/elements/button";
import { Check, Quantity } from "../../design/elements/field";
import { How } from "../../design/elements/state";
import { act } from "./lists";
import { type Item, readLists } from "./view";

/** A quantity is sent once it has stood still for so long, in milliseconds. */
const SETTLED_MS = 500;

export function Row({ list, item, calls }: { list: string; item: Item; calls: Calls }) {
  const runtime = useRuntime();
  const { language } = runtime.state;
  const { t } = language;
  const text = item.text ?? t("product.nameless");
  const key = `item ${item.id}`;
  const ids = { list_id: list, item_id: item.id };
  /** Wishes for one thing of the item, which is sent where it differs from what is known by then. */
  const wish = <K extends "quantity" | "checked">(of: K, value: Item[K], done: string, settles?: number): void => {
    const args = (isKnown: boolean): Json | null => {
      const now = readLists(runtime.state.view).lists.find((one) => one.id === list)?.items.find((one) => one.id === item.id);
      return now === undefined || (isKnown && now[of] === value) ? null : { action: "update_item", ...ids, [of]: value };
    };
    void act(calls, key, args, done, { wish: { of, value }, settles, about: list });
  };
  const wished = <K extends "quantity" | "checked">(of: K): Item[K] => (calls.wished(key, of) as Item[K] | undefined) ?? item[of];
  const [quantity, ticked] = [wished("quantity"), wished("checked")];
  const count = (wanted: number): void => wish("quantity", wanted, t("lists.changed", { text }), SETTLED_MS);
  const tick = (checked: boolean): void => wish("checked", checked, t(checked ? "lists.ticked" : "lists.unticked", { text }));
  const remove = (): void => void act(calls, key, { action: "remove_item", ...ids }, t("lists.removed", { text }), { about: list });
  return (
    <li class={`item${ticked ? " ticked" : ""}`} aria-busy={calls.busy(key)}>
      <Check checked={ticked} change={tick}>
        <span class="what">{text}</span>
        {item.product === undefined && <span class="small soft"> {t("lists.no_product")}</span>}
      </Check>
      <p class="figures price">{item.price === undefined ? "" : language.money(item.price * quantity)}</p>
      <div class="row">
        <Quantity of={text} value={quantity} change={count} />
        <Button icon="cross" look="quiet" busy={calls.busy(key)} name={t("lists.remove", { text })} press={remove} />
      </div>
      {calls.of(key).state !== "done" && <How progress={calls.of(key)} />}
    </li>
  );
}

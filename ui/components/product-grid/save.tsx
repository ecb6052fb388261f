// Puts a product on one of the person's lists: asks which lists there are, then lets one be chosen.

import { useState } from "preact/hooks";
import { type Calls, useRuntime } from "../../bridge/hooks";
import { list, text } from "../../bridge/read";
import { Button } from "../../design/elements/button";
import { type Option, Select } from "../../design/elements/field";
import { nameOf } from "../../design/elements/product";
import type { Product } from "../../design/product";

const TOOL = "shopping_lists";

export function listKey(product: Product): string {
  return `list ${product.id}`;
}

export function SaveToList({ product, calls }: { product: Product; calls: Calls }) {
  const runtime = useRuntime();
  const { language } = runtime.state;
  const { t } = language;
  const [lists, setLists] = useState<Option[] | null>(null);
  const [chosen, setChosen] = useState("");
  const key = listKey(product);
  const name = nameOf(product, language);

  const look = async (): Promise<void> => {
    const outcome = await calls.run({ key, tool: TOOL, args: { action: "list" }, done: "" });
    if (outcome?.kind !== "done") return;
    const found = list(outcome.view, "lists", (raw) => {
      const id = text(raw, "list_id");
      return id === undefined ? null : { value: id, label: text(raw, "name") ?? id };
    });
    setLists(found);
    if (found.length === 0) runtime.say("product.no_lists");
    setChosen(found[0]?.value ?? "");
  };
  const save = async (): Promise<void> => {
    const args = { action: "add_item", list_id: chosen, text: name, quantity: 1, product_id: product.id };
    const outcome = await calls.run({ key, tool: TOOL, args, atStore: true, done: t("product.listed", { name }), writes: true });
    if (outcome?.kind === "done") setLists(null);
  };

  if (lists === null) {
    return (
      <div>
        <Button look="quiet" busy={calls.busy(key)} name={t("product.to_list_name", { name })} press={() => void look()}>
          {t("product.to_list")}
        </Button>
      </div>
    );
  }
  if (lists.length === 0) return <p class="small soft">{t("product.no_lists")}</p>;
  return (
    <div class="stack">
      <Select label={t("product.which_list")} value={chosen} options={lists} change={setChosen} />
      <div class="row">
        <Button busy={calls.busy(key)} press={() => void save()}>
          {t("product.save")}
        </Button>
        <Button look="quiet" press={() => setLists(null)}>
          {t("common.cancel")}
        </Button>
      </div>
    </div>
  );
}

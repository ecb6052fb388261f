// The list that is open: its items, and what can be done with it.

import { useState } from "preact/hooks";
import { type Calls, useLanguage } from "../../bridge/hooks";
import { Button, Confirm } from "../../design/elements/button";
import { Input } from "../../design/elements/field";
import { Empty, How } from "../../design/elements/state";
import { Row } from "./item";
import { act } from "./lists";
import type { ShoppingList } from "./view";

export function Open({ list, calls }: { list: ShoppingList; calls: Calls }) {
  const language = useLanguage();
  const { t } = language;
  const name = list.name ?? t("lists.nameless");
  const key = `list ${list.id}`;
  const send = (): void => void act(calls, key, { action: "send_to_cart", list_id: list.id }, t("lists.sent", { name }), { after: "done", about: list.id });
  const remove = (): void => void act(calls, "delete", { action: "delete", list_id: list.id }, t("lists.deleted", { name }), { after: "ended" });
  const known = list.items.filter((item) => item.price !== undefined && !item.checked);
  const total = known.reduce((sum, item) => sum + (item.price ?? 0) * item.quantity, 0);
  return (
    <section class="stack open" aria-label={name}>
      <Name list={list} name={name} calls={calls} />
      {list.updatedAt !== undefined && <p class="small soft">{t("lists.updated", { when: language.date(list.updatedAt, "moment") })}</p>}
      <Add list={list} calls={calls} />
      {list.items.length === 0 && <Empty icon="check" text={t("lists.no_items")} />}
      <ul class="items">
        {list.items.map((item) => (
          <Row key={item.id} list={list.id} item={item} calls={calls} />
        ))}
      </ul>
      {known.length > 0 && <p class="strong figures">{t("lists.total", { amount: language.money(total) })}</p>}
      <div class="row apart">
        <Button look="primary" icon="bag" busy={calls.busy(key)} off={!list.items.some((item) => item.product !== undefined && !item.checked)} press={send}>
          {t("lists.send")}
        </Button>
        <Confirm label={t("lists.delete")} question={t("lists.delete_sure", { name })} yes={t("lists.delete_yes")} busy={calls.busy("delete")} press={remove} />
      </div>
      <How progress={calls.of(key)} />
    </section>
  );
}

function Name({ list, name, calls }: { list: ShoppingList; name: string; calls: Calls }) {
  const { t } = useLanguage();
  const [draft, setDraft] = useState<string | null>(null);
  const key = `rename ${list.id}`;
  const save = async (): Promise<void> => {
    const wanted = draft?.trim() ?? "";
    if (wanted === "" || wanted === list.name) return setDraft(null);
    const outcome = await act(calls, key, { action: "rename", list_id: list.id, name: wanted }, t("lists.renamed", { name: wanted }));
    if (outcome?.kind === "done") setDraft((now) => (now === draft ? null : now));
  };
  if (draft === null) {
    return (
      <div class="row apart">
        <h2>{name}</h2>
        <Button look="quiet" press={() => setDraft(list.name ?? "")}>
          {t("lists.rename")}
        </Button>
      </div>
    );
  }
  return (
    <div class="stack">
      <Input label={t("lists.name")} value={draft} change={setDraft} enter={() => void save()} longest={100} />
      <div class="row">
        <Button busy={calls.busy(key)} press={() => void save()}>
          {t("product.save")}
        </Button>
        <Button look="quiet" press={() => setDraft(null)}>
          {t("common.cancel")}
        </Button>
      </div>
      {calls.of(key).state !== "done" && <How progress={calls.of(key)} />}
    </div>
  );
}

function Add({ list, calls }: { list: ShoppingList; calls: Calls }) {
  const { t } = useLanguage();
  const [words, setWords] = useState("");
  const key = `add ${list.id}`;
  const add = async (): Promise<void> => {
    const text = words.trim();
    if (text === "") return;
    setWords("");
    const outcome = await act(calls, key, { action: "add_item", list_id: list.id, text, quantity: 1 }, t("lists.added", { text }), { waits: true, what: text, about: list.id });
    if (outcome?.kind !== "done") setWords((now) => now || text);
  };
  return (
    <>
      <div class="entry">
        <Input label={t("lists.add")} value={words} change={setWords} enter={() => void add()} longest={200} />
        <Button icon="plus" busy={calls.busy(key) && words === ""} off={words.trim() === ""} name={t("lists.add_now")} press={() => void add()} />
      </div>
      {calls.of(key).state !== "done" && <How progress={calls.of(key)} />}
    </>
  );
}

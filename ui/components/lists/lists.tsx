// Shopping lists: one is open, the others stand beside it.

import { useState } from "preact/hooks";
import { type Call, type Calls, useCalls, useLanguage } from "../../bridge/hooks";
import { Button } from "../../design/elements/button";
import { Input } from "../../design/elements/field";
import { Empty, Heading, How, Reload, useReload } from "../../design/elements/state";
import { Open } from "./open";
import { type ListsView, type ShoppingList, readLists } from "./view";

export const TOOL = "shopping_lists";

/** Runs one action of the tool and shows the lists that it answers with. */
export function act(calls: Calls, key: string, args: Call["args"], done: string, more: Partial<Call> = {}) {
  return calls.run({ key, tool: TOOL, args, atStore: true, done, shows: true, writes: true, ...more });
}

export function Lists({ view }: { view: ListsView }) {
  const { t } = useLanguage();
  const calls = useCalls();
  const reload = useReload({ action: "list" }, calls, true);
  const [chosen, setChosen] = useState<string | undefined>(undefined);
  const open = view.lists.find((one) => one.id === chosen) ?? view.lists[0];
  const create = async (name: string): Promise<boolean> => {
    const outcome = await act(calls, "create", { action: "create", name }, t("lists.created", { name }), { waits: true });
    // The answer is the list that has just been made, which is opened.
    if (outcome?.kind === "done") setChosen(readLists(outcome.view).lists[0]?.id);
    return outcome?.kind === "done";
  };
  return (
    <>
      <Heading title={t("lists.title")}>
        <Reload busy={calls.busy("reload")} press={reload} />
      </Heading>
      <div class="both">
        <nav class="stack" aria-label={t("lists.title")}>
          <Names lists={view.lists} open={open} choose={setChosen} />
          <Create busy={calls.busy("create")} create={create} />
          <How progress={calls.of("create")} />
          <How progress={calls.of("delete")} />
        </nav>
        {open === undefined ? <Empty icon="check" text={t("lists.empty")} /> : <Open key={open.id} list={open} calls={calls} />}
      </div>
    </>
  );
}

function Names({ lists, open, choose }: { lists: ShoppingList[]; open: ShoppingList | undefined; choose(id: string): void }) {
  const { t } = useLanguage();
  return (
    <ul class="names">
      {lists.map((one) => (
        <li key={one.id}>
          <button type="button" class="name" aria-current={one === open ? "true" : undefined} onClick={() => choose(one.id)}>
            <span>{one.name ?? t("lists.nameless")}</span>
            <span class="small figures">
              <span aria-hidden="true">{`${one.items.filter((item) => item.checked).length}/${one.items.length}`}</span>
              <span class="unseen">{t("lists.done_of", { done: one.items.filter((item) => item.checked).length, all: one.items.length })}</span>
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}

function Create({ busy, create }: { busy: boolean; create(name: string): Promise<boolean> }) {
  const { t } = useLanguage();
  const [name, setName] = useState("");
  const go = async (): Promise<void> => {
    if (name.trim() === "") return;
    setName("");
    if (!(await create(name.trim()))) setName((now) => now || name);
  };
  return (
    <div class="entry">
      <Input label={t("lists.new")} value={name} change={setName} enter={() => void go()} longest={100} />
      <Button icon="plus" busy={busy && name === ""} off={name.trim() === ""} name={t("lists.create")} press={() => void go()} />
    </div>
  );
}

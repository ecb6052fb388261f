// Any table: sorted, searched and paged here, without a call. On narrow screens each row is a card; the roles keep it
// a table for screen readers.

import { useMemo, useState } from "preact/hooks";
import { useLanguage, useRuntime } from "../../bridge/hooks";
import type { Json } from "../../bridge/protocol";
import { Button } from "../../design/elements/button";
import { Input, Select } from "../../design/elements/field";
import { Icon } from "../../design/elements/icon";
import { Empty } from "../../design/elements/state";
import { type Column, type Sorting, type TableView, found, isNumeric, show, sorted } from "./view";

const PAGE = 25;

export function DataTable({ view }: { view: TableView }) {
  const runtime = useRuntime();
  const { language } = runtime.state;
  const { t } = language;
  const [words, setWords] = useState("");
  const [sorting, setSorting] = useState<Sorting | null>(null);
  const [page, setPage] = useState(0);
  const column = view.columns.find((one) => one.key === sorting?.key);
  // Sorted before they are searched, so that what is typed sorts nothing.
  const inOrder = useMemo(() => sorted(view.rows, column, sorting?.down === true, language), [view, sorting, language]);
  const rows = useMemo(() => found(inOrder, view.columns, words, language), [inOrder, words]);
  const last = Math.max(0, Math.ceil(rows.length / PAGE) - 1);
  const at = Math.min(page, last);
  const sort = (next: Sorting | null): void => {
    setSorting(next);
    setPage(0);
    runtime.say("table.sorted");
  };
  const search = (next: string): void => {
    setWords(next);
    setPage(0);
  };
  return (
    <>
      <h1>{view.caption ?? t("table.title")}</h1>
      {view.left > 0 && <p class="small soft">{t("table.left_out", { count: view.left })}</p>}
      {view.rows.length > 0 && (
        <div class="tools">
          <Input label={t("table.search")} value={words} change={search} longest={100} />
          <Order columns={view.columns} sorting={sorting} sort={sort} />
        </div>
      )}
      {rows.length === 0 ? <Empty icon="bag" text={t("table.empty")} /> : <Rows view={view} rows={rows.slice(at * PAGE, (at + 1) * PAGE)} before={at * PAGE} all={rows.length} sorting={sorting} sort={sort} />}
      {last > 0 && <Pages at={at} last={last} all={rows.length} turn={setPage} />}
    </>
  );
}

/** The same as the buttons in the heads, for narrow screens where there are none. */
function Order({ columns, sorting, sort }: { columns: Column[]; sorting: Sorting | null; sort(next: Sorting | null): void }) {
  const { t } = useLanguage();
  const options = columns.flatMap((column, index) => [
    { value: `${index} up`, label: t("table.up", { name: column.label }) },
    { value: `${index} down`, label: t("table.down", { name: column.label }) },
  ]);
  const value = sorting === null ? "" : `${columns.findIndex((one) => one.key === sorting.key)} ${sorting.down ? "down" : "up"}`;
  const change = (chosen: string): void => {
    const [index, direction] = chosen.split(" ");
    const column = columns[Number(index)];
    sort(chosen === "" || column === undefined ? null : { key: column.key, down: direction === "down" });
  };
  return (
    <div class="narrow">
      <Select label={t("table.order")} value={value} options={[{ value: "", label: t("table.as_given") }, ...options]} change={change} />
    </div>
  );
}

interface RowsProps {
  view: TableView;
  rows: Json[];
  /** Rows on the pages before. */
  before: number;
  all: number;
  sorting: Sorting | null;
  sort(next: Sorting | null): void;
}

function Rows({ view, rows, before, all, sorting, sort }: RowsProps) {
  const language = useLanguage();
  return (
    <div class="scrolls" role="region" tabIndex={0} aria-label={language.t("table.title")}>
      <table role="table" aria-rowcount={all + 1} aria-label={view.caption ?? language.t("table.title")}>
        <thead role="rowgroup">
          <tr role="row" aria-rowindex={1}>
            {view.columns.map((column) => (
              <Head key={column.key} column={column} sorting={sorting} sort={sort} />
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row, index) => (
            <tr role="row" key={index} aria-rowindex={before + index + 2}>
              {view.columns.map((column) => (
                <Cell key={column.key} column={column} value={row[column.key]} />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Head({ column, sorting, sort }: { column: Column; sorting: Sorting | null; sort(next: Sorting): void }) {
  const mine = sorting?.key === column.key;
  const direction = mine ? (sorting.down ? "descending" : "ascending") : "none";
  return (
    <th role="columnheader" scope="col" aria-sort={direction} class={isNumeric(column.type) ? "end" : ""}>
      <button type="button" class="head" onClick={() => sort({ key: column.key, down: mine && !sorting.down })}>
        {column.label}
        {mine && <Icon name={sorting.down ? "down" : "up"} />}
      </button>
    </th>
  );
}

function Cell({ column, value }: { column: Column; value: unknown }) {
  const language = useLanguage();
  const shown = show(value, column.type, language);
  return (
    <td role="cell" class={isNumeric(column.type) ? `end figures${typeof value === "number" ? " whole" : ""}` : ""}>
      <span class="key soft small" aria-hidden="true">
        {column.label}
      </span>
      <span>{shown === "" ? <span class="soft">–</span> : shown}</span>
    </td>
  );
}

function Pages({ at, last, all, turn }: { at: number; last: number; all: number; turn(page: number): void }) {
  const { t } = useLanguage();
  return (
    <nav class="row apart" aria-label={t("common.pages")}>
      <Button icon="left" off={at === 0} press={() => turn(at - 1)}>
        {t("common.previous")}
      </Button>
      <p class="soft figures">{t("common.range", { from: at * PAGE + 1, to: Math.min(all, (at + 1) * PAGE), all })}</p>
      <Button icon="right" off={at === last} press={() => turn(at + 1)}>
        {t("common.next")}
      </Button>
    </nav>
  );
}

// The products of a search: sorted, filtered, paged, and put into the cart or on a list.

import { useState } from "preact/hooks";
import { useCalls, useRuntime } from "../../bridge/hooks";
import type { Outcome } from "../../bridge/outcome";
import type { Json } from "../../bridge/protocol";
import { text } from "../../bridge/read";
import { Button } from "../../design/elements/button";
import { Choices, Select } from "../../design/elements/field";
import { Empty, Heading, How } from "../../design/elements/state";
import { type Order, inOrder } from "../../design/product";
import { Card } from "./card";
import { FilterForm } from "./filters";
import { type Filters, type Found, filtersOf, orderOf, withFilters } from "./view";

export type Layout = "grid" | "list" | "compact";
const DEFAULT_PAGE = 10;

export function Grid({ view }: { view: Found }) {
  const runtime = useRuntime();
  const { language, input } = runtime.state;
  const { t } = language;
  const calls = useCalls();
  const [args, setArgs] = useState<Json>(input);
  const [layout, setLayout] = useState<Layout>("grid");
  const [filtering, setFiltering] = useState(false);
  const size = pageSize(args);
  // What was chosen while a search runs is added to what was chosen before.
  const meant = (calls.wished("search", "search") as Json | undefined) ?? args;
  const order = orderOf(meant);

  const ask = async (change: Json, words: string): Promise<Outcome | null> => {
    const next = { ...meant, sort: order, ...change };
    const outcome = await calls.run({ key: "search", tool: runtime.tool, args: next, done: words, shows: true, wish: { of: "search", value: next } });
    if (outcome?.kind === "done") setArgs(next);
    return outcome;
  };
  const sort = (next: Order): void => {
    if (text(args, "query") !== undefined) return void ask({ sort: next, offset: 0 }, t("grid.sorted"));
    setArgs({ ...args, sort: next });
    runtime.say("grid.sorted");
  };
  const turn = (offset: number): void => void ask({ offset }, t("grid.turned"));
  const filter = (filters: Filters) => ask({ ...withFilters(meant, filters, language), sort: order, offset: 0 }, t("grid.filtered"));
  const products = inOrder(view.products, order, language.locale);

  return (
    <>
      <Heading title={t("grid.title")} />
      <Summary view={view} query={text(args, "query")} />
      <div class="tools">
        <Select label={t("grid.sort")} value={order} change={(value) => sort(value as Order)} options={orders(t)} />
        <Choices label={t("grid.layout")} value={layout} change={(value) => setLayout(value as Layout)} options={layouts(t)} />
        <Button expanded={filtering} press={() => setFiltering(!filtering)}>
          {t("grid.filters")}
        </Button>
      </div>
      {filtering && <FilterForm start={filtersOf(args, language)} apply={filter} />}
      {calls.of("search").state !== "done" && <How progress={calls.of("search")} />}
      {products.length === 0 && <Empty icon="bag" text={t("grid.empty")} />}
      <ul class={`products ${layout}`} aria-label={t("grid.title")} aria-busy={calls.busy("search")}>
        {products.map((product) => (
          <Card key={product.id} product={product} layout={layout} calls={calls} />
        ))}
      </ul>
      <Pages view={view} size={size} busy={calls.busy("search")} turn={turn} />
    </>
  );
}

function pageSize(args: Json): number {
  return typeof args.limit === "number" && args.limit >= 1 ? Math.min(50, Math.floor(args.limit)) : DEFAULT_PAGE;
}

type Translate = ReturnType<typeof useRuntime>["state"]["language"]["t"];

function orders(t: Translate) {
  return [
    { value: "relevance", label: t("grid.by_relevance") },
    { value: "price_low", label: t("grid.by_price_low") },
    { value: "price_high", label: t("grid.by_price_high") },
    { value: "savings", label: t("grid.by_savings") },
    { value: "name", label: t("grid.by_name") },
  ];
}

function layouts(t: Translate) {
  return [
    { value: "grid", label: t("grid.as_grid") },
    { value: "list", label: t("grid.as_list") },
    { value: "compact", label: t("grid.as_compact") },
  ];
}

function Summary({ view, query }: { view: Found; query: string | undefined }) {
  const { language } = useRuntime().state;
  const { t } = language;
  const found = view.matches ?? view.total ?? view.products.length;
  return (
    <div class="stack">
      <p class="soft">
        {query === undefined ? t("grid.found", { count: found }) : t("grid.found_for", { count: found, query })}
      </p>
      {view.location === undefined && <p class="small soft">{t("grid.no_store")}</p>}
      {view.withoutPrice > 0 && <p class="small soft">{t("grid.without_price", { count: view.withoutPrice })}</p>}
    </div>
  );
}

function Pages({ view, size, busy, turn }: { view: Found; size: number; busy: boolean; turn(offset: number): void }) {
  const { language } = useRuntime().state;
  const { t } = language;
  const end = view.offset + view.products.length;
  const all = Math.max(view.matches ?? 0, end);
  if (view.offset === 0 && end >= all) return null;
  return (
    <nav class="row apart" aria-label={t("common.pages")}>
      <Button icon="left" busy={busy} off={view.offset === 0} press={() => turn(Math.max(0, view.offset - size))}>
        {t("common.previous")}
      </Button>
      <p class="soft figures">{t("common.range", { from: Math.min(view.offset + 1, end), to: end, all })}</p>
      <Button icon="right" busy={busy} off={end >= all} press={() => turn(end)}>
        {t("common.next")}
      </Button>
    </nav>
  );
}

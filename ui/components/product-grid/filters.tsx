import { useState } from "preact/hooks";
import { useRuntime } from "../../bridge/hooks";
import type { Outcome } from "../../bridge/outcome";
import { Button } from "../../design/elements/button";
import { Check, Input, Select } from "../../design/elements/field";
import { type Filters, isPrice } from "./view";

const NONE: Filters = { brand: "", min: "", max: "", onSale: false, inStock: false, way: "" };

export function FilterForm({ start, apply }: { start: Filters; apply(filters: Filters): Promise<Outcome | null> }) {
  const runtime = useRuntime();
  const { language } = runtime.state;
  const { t } = language;
  const [filters, setFilters] = useState(start);
  const [tried, setTried] = useState(false);
  const set = (change: Partial<Filters>): void => setFilters({ ...filters, ...change });
  const fits = (typed: string): boolean => isPrice(typed, language);
  const wrongOf = (typed: string): string | undefined => (tried && !fits(typed) ? t("grid.wrong_price") : undefined);
  const go = (): void => {
    const right = fits(filters.min) && fits(filters.max);
    setTried(!right);
    if (right) void apply(filters);
    else runtime.say("grid.wrong_price");
  };
  const clear = async (): Promise<void> => {
    setFilters(NONE);
    setTried(false);
    const outcome = await apply(NONE);
    if (outcome !== null && outcome.kind !== "done") setFilters((now) => (now === NONE ? start : now));
  };
  return (
    <section class="panel filters" aria-label={t("grid.filters")}>
      <Input label={t("grid.brand")} value={filters.brand} change={(brand) => set({ brand })} enter={go} longest={100} />
      <Input label={t("grid.min")} mode="decimal" value={filters.min} change={(min) => set({ min })} enter={go} wrong={wrongOf(filters.min)} longest={9} />
      <Input label={t("grid.max")} mode="decimal" value={filters.max} change={(max) => set({ max })} enter={go} wrong={wrongOf(filters.max)} longest={9} />
      <Select
        label={t("grid.way")}
        value={filters.way}
        change={(way) => set({ way })}
        options={[
          { value: "", label: t("grid.any_way") },
          { value: "in_store", label: t("product.in_store") },
          { value: "curbside", label: t("product.curbside") },
          { value: "delivery", label: t("product.delivery") },
          { value: "ship", label: t("product.ship") },
        ]}
      />
      <div class="row">
        <Check checked={filters.onSale} change={(onSale) => set({ onSale })}>
          {t("grid.on_sale")}
        </Check>
        <Check checked={filters.inStock} change={(inStock) => set({ inStock })}>
          {t("grid.in_stock")}
        </Check>
      </div>
      <div class="row whole">
        <Button look="primary" press={go}>
          {t("grid.apply")}
        </Button>
        <Button look="quiet" press={() => void clear()}>
          {t("grid.clear")}
        </Button>
      </div>
    </section>
  );
}

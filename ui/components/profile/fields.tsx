import { useLanguage } from "../../bridge/hooks";
import { Check, Input, Select } from "../../design/elements/field";
import { DIETS, type Preferences, type Wrong } from "./view";

interface PartProps {
  draft: Preferences;
  set(change: Partial<Preferences>): void;
}

export function Fields({ draft, wrong, set, save }: PartProps & { wrong: Wrong; save(): void }) {
  const { t } = useLanguage();
  const ways = [
    { value: "", label: t("profile.any") },
    { value: "pickup", label: t("product.curbside") },
    { value: "delivery", label: t("product.delivery") },
    { value: "in_store", label: t("product.in_store") },
  ];
  const languages = [
    { value: "", label: t("profile.host_language") },
    { value: "en", label: "English" },
    { value: "es", label: "Español" },
    { value: "fr", label: "Français" },
    { value: "de", label: "Deutsch" },
  ];
  return (
    <div class="fields">
      <Input
        label={t("profile.budget")}
        mode="decimal"
        value={draft.budget}
        change={(budget) => set({ budget })}
        enter={save}
        wrong={wrong.budget && t(wrong.budget)}
        longest={9}
      />
      <Input
        label={t("profile.household")}
        mode="numeric"
        value={draft.household}
        change={(household) => set({ household })}
        enter={save}
        wrong={wrong.household && t(wrong.household)}
        longest={3}
      />
      <Select label={t("profile.fulfillment")} value={draft.fulfillment} options={withOwn(ways, draft.fulfillment)} change={(fulfillment) => set({ fulfillment })} />
      <Select label={t("profile.locale")} value={draft.locale} options={withOwn(languages, draft.locale)} change={(locale) => set({ locale })} />
    </div>
  );
}

/** A value that is none of the choices must not be lost by saving another field. */
function withOwn(options: { value: string; label: string }[], value: string) {
  return options.some((option) => option.value === value) ? options : [...options, { value, label: value }];
}

export function Diets({ draft, set }: PartProps) {
  const { t } = useLanguage();
  const known: [string, string][] = DIETS.map(([diet, key]) => [diet, t(key)]);
  const others: [string, string][] = draft.diets.filter((diet) => !DIETS.some(([known]) => known === diet)).map((diet) => [diet, diet]);
  const toggle = (diet: string, on: boolean): void => set({ diets: on ? [...draft.diets, diet] : draft.diets.filter((one) => one !== diet) });
  return (
    <fieldset class="field">
      <legend class="legend">{t("profile.diets")}</legend>
      <div class="checks">
        {[...known, ...others].map(([diet, label]) => (
          <Check key={diet} checked={draft.diets.includes(diet)} change={(on) => toggle(diet, on)}>
            {label}
          </Check>
        ))}
      </div>
    </fieldset>
  );
}

export function Notices({ draft, set }: PartProps) {
  const { t } = useLanguage();
  return (
    <fieldset class="field">
      <legend class="legend">{t("profile.notices")}</legend>
      <div class="checks">
        <Check checked={draft.priceDrops} change={(priceDrops) => set({ priceDrops })}>
          {t("profile.price_drops")}
        </Check>
        <Check checked={draft.coupons} change={(coupons) => set({ coupons })}>
          {t("profile.coupons")}
        </Check>
      </div>
    </fieldset>
  );
}

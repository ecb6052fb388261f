// Stores near a place: a map of our own, and a list that says the same.

import { useState } from "preact/hooks";
import { type Calls, useCalls, useLanguage, useRuntime } from "../../bridge/hooks";
import { Button, LinkButton } from "../../design/elements/button";
import { Check, Select } from "../../design/elements/field";
import { Empty, Heading, How } from "../../design/elements/state";
import { StoreMap } from "./map";
import type { Store, StoresView } from "./view";

/** The longest name of a store that the profile takes, in characters. */
const MAX_NAME = 100;

export function Stores({ view }: { view: StoresView }) {
  const { t } = useLanguage();
  const calls = useCalls();
  const [openOnly, setOpenOnly] = useState(false);
  const [service, setService] = useState("");
  const [chosen, setChosen] = useState<string | undefined>(undefined);
  const stores = view.stores.filter((store) => (!openOnly || store.open === true) && (service === "" || store.services.includes(service)));
  const current = stores.find((store) => store.id === chosen) ?? stores[0];
  return (
    <>
      <Heading title={t("stores.title")} />
      <p class="soft">{t("stores.found", { count: stores.length })}</p>
      {view.withoutHours > 0 && <p class="small soft">{t("stores.without_hours", { count: view.withoutHours })}</p>}
      {view.stores.length > 0 && <Filter view={view} openOnly={openOnly} setOpenOnly={setOpenOnly} service={service} setService={setService} />}
      {stores.length === 0 ? (
        <Empty icon="pin" text={t("stores.empty")} />
      ) : (
        <div class="both">
          <StoreMap stores={stores} origin={view.origin} chosen={current?.id} choose={setChosen} />
          <List stores={stores} current={current} choose={setChosen} calls={calls} />
        </div>
      )}
    </>
  );
}

interface FilterProps {
  view: StoresView;
  openOnly: boolean;
  setOpenOnly(only: boolean): void;
  service: string;
  setService(service: string): void;
}

function Filter({ view, openOnly, setOpenOnly, service, setService }: FilterProps) {
  const { t, locale } = useLanguage();
  const services = [...new Set(view.stores.flatMap((store) => store.services))].sort((a, b) => a.localeCompare(b, locale));
  const options = [{ value: "", label: t("stores.any_service") }, ...services.map((value) => ({ value, label: value }))];
  return (
    <div class="tools">
      {services.length > 0 && <Select label={t("stores.service")} value={service} options={options} change={setService} />}
      <Check checked={openOnly} change={setOpenOnly}>
        {t("stores.open_only")}
      </Check>
    </div>
  );
}

function List({ stores, current, choose, calls }: { stores: Store[]; current: Store | undefined; choose(id: string): void; calls: Calls }) {
  const { t } = useLanguage();
  return (
    <ol class="stores" aria-label={t("stores.title")}>
      {stores.map((store, index) => (
        <li key={store.id} class={`panel store${store === current ? " chosen" : ""}`}>
          <button type="button" class="choose" aria-expanded={store === current} onClick={() => choose(store.id)}>
            <span class="number figures" aria-hidden="true">
              {index + 1}
            </span>
            <span class="stack">
              <span class="strong">{store.name ?? store.chain ?? t("stores.nameless")}</span>
              <Line store={store} />
            </span>
          </button>
          {store === current && <Detail store={store} calls={calls} />}
        </li>
      ))}
    </ol>
  );
}

function Line({ store }: { store: Store }) {
  const language = useLanguage();
  const { t } = language;
  return (
    <span class="row small">
      {store.open === true && <span class="badge success">{t("stores.open")}</span>}
      {store.open === false && <span class="badge">{t("stores.closed")}</span>}
      {store.open === undefined && <span class="soft">{t("stores.open_unknown")}</span>}
      {store.miles !== undefined && <span class="soft figures">{t("stores.miles", { count: Math.round(store.miles * 10) / 10 })}</span>}
    </span>
  );
}

function Detail({ store, calls }: { store: Store; calls: Calls }) {
  const runtime = useRuntime();
  const { t } = runtime.state.language;
  const name = store.name ?? store.id;
  const mine = (): void => {
    const preferences = { location_id: store.id, store_name: store.name === undefined ? null : [...store.name.trim()].slice(0, MAX_NAME).join("") };
    const args = { action: "update", preferences };
    void calls.run({ key: store.id, tool: "user_profile", args, done: t("stores.is_mine", { name }), writes: true });
  };
  const map = store.at && `https://www.openstreetmap.org/?mlat=${store.at.latitude}&mlon=${store.at.longitude}#map=16/${store.at.latitude}/${store.at.longitude}`;
  return (
    <div class="stack detail">
      <dl class="facts">
        <Fact name={t("stores.address")} value={store.address} />
        <Fact name={t("stores.phone")} value={store.phone} />
        <Fact name={t("stores.hours")} value={store.hours} />
        <Fact name={t("stores.services")} value={store.services.join(", ") || undefined} />
      </dl>
      <div class="row">
        <Button look="primary" busy={calls.busy(store.id)} press={mine}>
          {t("stores.make_mine")}
        </Button>
        <LinkButton url={map}>{t("stores.street_map")}</LinkButton>
      </div>
      <How progress={calls.of(store.id)} />
    </div>
  );
}

function Fact({ name, value }: { name: string; value: string | undefined }) {
  if (value === undefined) return null;
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  );
}

// The drawing: a dot a store, numbered as in the list, with the way to its scale and the place searched from.

import { useLanguage } from "../../bridge/hooks";
import { HEIGHT, type Projection, WIDTH, project, scaleBar } from "./projection";
import type { Point, Store } from "./view";

export interface MapProps {
  stores: Store[];
  origin: Point | undefined;
  chosen: string | undefined;
  choose(id: string): void;
}

const GRID = 60;

export function StoreMap({ stores, origin, chosen, choose }: MapProps) {
  const { t } = useLanguage();
  const placed = stores.map((store, index) => ({ store, number: index + 1 })).filter(({ store }) => store.at !== undefined);
  const points = placed.map(({ store }) => store.at as Point);
  const projection = project(origin === undefined ? points : [...points, origin]);
  if (projection === null) return <p class="soft">{t("stores.no_map")}</p>;
  // The chosen one is drawn last, above the others.
  const order = [...placed].sort((a, b) => Number(a.store.id === chosen) - Number(b.store.id === chosen));
  return (
    <figure class="map">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={t("stores.map", { count: placed.length })}>
        <Backdrop />
        {origin !== undefined && <Origin projection={projection} at={origin} />}
        {order.map(({ store, number }) => (
          <Dot key={store.id} projection={projection} store={store} number={number} chosen={store.id === chosen} choose={choose} />
        ))}
        <Scale projection={projection} />
      </svg>
    </figure>
  );
}

function Backdrop() {
  const lines = [];
  for (let x = GRID; x < WIDTH; x += GRID) lines.push(`M${x} 0V${HEIGHT}`);
  for (let y = GRID; y < HEIGHT; y += GRID) lines.push(`M0 ${y}H${WIDTH}`);
  return (
    <>
      <path class="grid-lines" d={lines.join("")} />
      <path class="north" d="M612 22l7 18-7-5-7 5z" />
      <text class="label" x="612" y="62" text-anchor="middle">
        N
      </text>
    </>
  );
}

function Origin({ projection, at }: { projection: Projection; at: Point }) {
  const { t } = useLanguage();
  const { x, y } = projection.place(at);
  return (
    <g class="origin">
      <circle cx={x} cy={y} r="6" />
      <path d={`M${x - 12} ${y}h24M${x} ${y - 12}v24`} />
      <text class="label" x={x} y={y + 34} text-anchor="middle">
        {t("stores.origin")}
      </text>
    </g>
  );
}

interface DotProps {
  projection: Projection;
  store: Store;
  number: number;
  chosen: boolean;
  choose(id: string): void;
}

/** For the pointer only: by keyboard stores are chosen in the list. */
function Dot({ projection, store, number, chosen, choose }: DotProps) {
  const { x, y } = projection.place(store.at as Point);
  const size = chosen ? 17 : 13;
  return (
    <g class={`dot${chosen ? " chosen" : ""}${store.open === false ? " closed" : ""}`} onClick={() => choose(store.id)}>
      <circle cx={x} cy={y} r={size} />
      <text x={x} y={y} text-anchor="middle" dominant-baseline="central">
        {number}
      </text>
    </g>
  );
}

function Scale({ projection }: { projection: Projection }) {
  const language = useLanguage();
  const { miles, length } = scaleBar(projection.scale, WIDTH / 4);
  const y = HEIGHT - 18;
  return (
    <g class="scale">
      <path d={`M18 ${y - 7}v7h${length}v-7`} />
      <text class="label" x="18" y={y - 14}>
        {language.t("stores.miles", { count: miles })}
      </text>
    </g>
  );
}

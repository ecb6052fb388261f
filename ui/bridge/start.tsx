// Puts a page up: its frame, its states without a view, and its component once there is one.

import { type ComponentType, render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { Alone, Cancelled, Failed, Notes, Retry, Stale, Waiting } from "../design/elements/state";
import type { Key } from "../design/language";
import { provide } from "./hooks";
import type { Json } from "./protocol";
import { number } from "./read";
import { Runtime, type Source, notesOf } from "./runtime";

export interface Page<V> extends Source {
  title: Key;
  read(raw: Json): V;
  component: ComponentType<{ view: V }>;
}

export function start<V>(page: Page<V>): void {
  const runtime = new Runtime(window, page);
  const place = document.getElementById("page");
  if (place === null) return;
  provide(runtime);
  render(<Frame page={page} runtime={runtime} />, place);
  void runtime.begin();
}

function Frame<V>({ page, runtime }: { page: Page<V>; runtime: Runtime }) {
  const [, redraw] = useState(0);
  useEffect(() => runtime.watch(() => redraw((count) => count + 1)), [runtime]);
  const { state } = runtime;
  const title = state.language.t(page.title);
  document.title = title;
  const retry = runtime.tool === "" || runtime.again === undefined ? undefined : <Retry again={() => void runtime.retry()} isOther={!runtime.onlyReads} />;
  return (
      <main class="page" id={page.name} aria-busy={state.phase === "waiting"}>
        <div class="inside">
          {state.phase === "ready" ? <Shown page={page} raw={state.view} /> : <h1>{title}</h1>}
          {state.phase === "waiting" && <Waiting />}
          {state.phase === "failed" && <Failed failure={state.failure} retry={retry} />}
          {state.phase === "cancelled" && <Cancelled isUnknown={state.failure.kind === "unknown"} retry={retry} />}
          {state.phase === "alone" && <Alone />}
        </div>
        <div class="unseen" role="status" aria-live="polite">
          <span key={state.said.number}>{state.said.text}</span>
        </div>
      </main>
  );
}

function Shown<V>({ page, raw }: { page: Page<V>; raw: Json }) {
  const View = page.component;
  const view = useMemo(() => page.read(raw), [page, raw]);
  const stale = number(raw, "stale_seconds");
  return (
    <>
      {stale !== undefined && <Stale seconds={stale} />}
      <View view={view} />
      <Notes notes={notesOf(raw)} />
    </>
  );
}

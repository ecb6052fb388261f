// How components reach the runtime, and what the parts of a page know of their own calls.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Key, Language } from "../design/language";
import type { Outcome } from "./outcome";
import type { Json } from "./protocol";
import type { Runtime } from "./runtime";

let only: Runtime | null = null;

/** A page has one runtime. */
export function provide(runtime: Runtime): void {
  only = runtime;
}

export function useRuntime(): Runtime {
  if (only === null) throw new Error("outside of a page");
  return only;
}

export function useLanguage(): Language {
  return useRuntime().state.language;
}

/** How far the call of one part is (a product, an item): shown beside it. */
export interface Progress {
  state: "idle" | "busy" | "done" | "failed" | "unknown";
  text: string;
}

const IDLE: Progress = { state: "idle", text: "" };

export interface Call {
  /** What it is about: one call a key at a time. */
  key: string;
  tool: string;
  args: Json;
  /** Whether the tool takes a store (`location_id`), so that it is asked about the one that is shown. */
  atStore?: boolean;
  /** Said when it is done. */
  done: string;
  /** Whether the answer is the page's next view. */
  shows?: boolean;
  /** Whether it changes something, so that no answer means "not known" and not "failed". */
  writes?: boolean;
}

export interface Calls {
  of(key: string): Progress;
  busy(key: string): boolean;
  run(call: Call): Promise<Outcome | null>;
  clear(key: string): void;
}

/** Calls of the parts of a page. What is said in `done`, `failed` or `unknown` stays until the next call of the part. */
export function useCalls(): Calls {
  const runtime = useRuntime();
  const alive = useRef(true);
  const states = useRef(new Map<string, Progress>());
  const [, redraw] = useState(0);
  useEffect(() => () => void (alive.current = false), []);

  const set = (key: string, progress: Progress): void => {
    states.current.set(key, progress);
    if (alive.current) redraw((count) => count + 1);
  };
  const run = async (call: Call): Promise<Outcome | null> => {
    if (states.current.get(call.key)?.state === "busy") return null;
    set(call.key, { state: "busy", text: "" });
    const args = call.atStore ? { ...runtime.store, ...call.args } : call.args;
    const made = call.shows ? runtime.callAndShow(call.tool, args, call.writes) : runtime.call(call.tool, args);
    const outcome = await made;
    const progress = progressOf(outcome, call, runtime.state.language);
    set(call.key, progress);
    if (progress.text !== "") runtime.sayText(progress.text);
    return outcome;
  };
  const of = (key: string): Progress => states.current.get(key) ?? IDLE;
  return { of, run, busy: (key) => of(key).state === "busy", clear: (key) => set(key, IDLE) };
}

function progressOf(outcome: Outcome, call: Call, language: Language): Progress {
  if (outcome.kind === "done") return { state: "done", text: call.done };
  const unknown = outcome.kind === "unknown" && call.writes === true;
  const key: Key = unknown ? "common.unknown" : "common.failed";
  const words = [language.t(key), outcome.text].filter((part) => part !== "").join(" ");
  return { state: unknown ? "unknown" : "failed", text: words };
}

/** Runs `late` once `value` has stood still for a while. The first value runs nothing. */
export function useSettled<T>(value: T, ms: number, late: (value: T) => void): void {
  const first = useRef(value);
  const run = useRef(late);
  run.current = late;
  useEffect(() => {
    if (value === first.current) return undefined;
    const timer = setTimeout(() => {
      first.current = value;
      run.current(value);
    }, ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
}

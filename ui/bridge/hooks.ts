// How components reach the runtime, and the calls of their page.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Language } from "../design/language";
import { CallLines, type Calls } from "./calls";
import type { Runtime } from "./runtime";

export type { Call, Calls, Progress } from "./calls";

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

/** Calls of the parts of a page. What is said in `done`, `failed` or `unknown` stays until the next call of the part. */
export function useCalls(): Calls {
  const runtime = useRuntime();
  const [, redraw] = useState(0);
  const kept = useRef<CallLines | null>(null);
  const calls = (kept.current ??= new CallLines(runtime, () => redraw((count) => count + 1)));
  useEffect(() => {
    const forget = runtime.whenClosing(() => calls.sendAll());
    return () => {
      forget();
      calls.hurryAll();
    };
  }, []);
  return calls;
}

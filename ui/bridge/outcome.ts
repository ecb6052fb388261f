// What became of a call, told honestly: done, not done, or not known.

import { CODE, type Json, RpcError, isObject } from "./protocol";

export type Outcome =
  /** `hasView`: the answer had data to show. Without it `view` is empty. `locale`: the language that the person chose at the server, if any. */
  | { kind: "done"; view: Json; hasView: boolean; text: string; locale: unknown }
  /** It was refused, or failed before anything was changed. `text` is the server's, and may be empty. */
  | { kind: "failed"; text: string }
  /** It may have been done: no answer came, or one that does not tell. */
  | { kind: "unknown"; text: string };

export type Failure = Exclude<Outcome, { kind: "done" }>;

/** Where Portico's servers put the class of a failure. */
const ERROR_META = "portico.dev/error";
/** Where they put the language that the person chose. */
const LOCALE_META = "portico.dev/locale";
/** Codes by which a host or server says that it did not even begin. */
const REFUSED: readonly number[] = [CODE.invalidRequest, CODE.methodNotFound, CODE.invalidParams, CODE.notSent];

export function fromResult(result: Json): Outcome {
  const text = textOf(result);
  const view = result.structuredContent;
  const meta = isObject(result._meta) ? result._meta : {};
  if (result.isError !== true) return { kind: "done", view: isObject(view) ? view : {}, hasView: isObject(view), text, locale: meta[LOCALE_META] };
  return { kind: isUnknown(meta[ERROR_META]) ? "unknown" : "failed", text };
}

export function fromError(error: unknown): Outcome {
  if (!(error instanceof RpcError)) return { kind: "unknown", text: "" };
  const refused = REFUSED.includes(error.code) || (isObject(error.data) && "class" in error.data && !isUnknown(error.data));
  return { kind: refused ? "failed" : "unknown", text: error.code < 0 && error.code > -10 ? "" : error.message };
}

function isUnknown(data: unknown): boolean {
  return isObject(data) && typeof data.class === "string" && /^unknown.?outcome$/i.test(data.class);
}

/** The text parts of an answer, as far as a person would read. */
export function textOf(result: Json): string {
  if (!Array.isArray(result.content)) return "";
  const parts = result.content.filter(isObject).filter((part) => part.type === "text" && typeof part.text === "string");
  return parts.map((part) => part.text as string).join("\n").slice(0, 2000);
}

// What became of a call, told honestly: done, not done, or not known.

import { CODE, type Json, RpcError, isObject } from "./protocol";
import { text } from "./read";

export type Outcome =
  /** `hasView`: the answer had data to show. Without it `view` is empty. `locale`: the language that the person chose at the server, if any. */
  | { kind: "done"; view: Json; hasView: boolean; text: string; locale: unknown }
  /** It was refused, or failed before anything was changed. `text` is the server's, and may be empty. `signInUrl`: where to sign in first. */
  | { kind: "failed"; text: string; signInUrl?: string | undefined }
  /** It may have been done: no answer came, or one that does not tell, such as that of a server whose own data were away. */
  | { kind: "unknown"; text: string; signInUrl?: string | undefined };

export type Failure = Exclude<Outcome, { kind: "done" }>;

/** Where Portico's servers put the class of a failure. */
const ERROR_META = "portico.dev/error";
/** Where they put the language that the person chose. */
const LOCALE_META = "portico.dev/locale";
/** Codes by which a host or server says that it did not even begin. */
const REFUSED: readonly number[] = [CODE.invalidRequest, CODE.methodNotFound, CODE.invalidParams, CODE.notSent];

export function fromResult(result: Json): Outcome {
  const words = textOf(result);
  const view = result.structuredContent;
  const meta = isObject(result._meta) ? result._meta : {};
  if (result.isError !== true) return { kind: "done", view: isObject(view) ? view : {}, hasView: isObject(view), text: words, locale: meta[LOCALE_META] };
  return failed(isUnknown(meta[ERROR_META]), words, meta[ERROR_META]);
}

export function fromError(error: unknown): Outcome {
  if (!(error instanceof RpcError)) return { kind: "unknown", text: "" };
  const refused = REFUSED.includes(error.code) || (isObject(error.data) && "class" in error.data && !isUnknown(error.data));
  return failed(!refused, error.code < 0 && error.code > -10 ? "" : error.message, error.data);
}

function failed(unknown: boolean, words: string, data: unknown): Failure {
  return { kind: unknown ? "unknown" : "failed", text: words, signInUrl: signInUrlOf(data) };
}

function signInUrlOf(data: unknown): string | undefined {
  return isObject(data) && data.class === "authentication" ? text(data, "sign_in_url") : undefined;
}

function isUnknown(data: unknown): boolean {
  return isObject(data) && typeof data.class === "string" && /^(unknown.?outcome|unavailable)$/i.test(data.class);
}

/** The text parts of an answer, as far as a person would read. */
export function textOf(result: Json): string {
  if (!Array.isArray(result.content)) return "";
  const parts = result.content.filter(isObject).filter((part) => part.type === "text" && typeof part.text === "string");
  return parts.map((part) => part.text as string).join("\n").slice(0, 2000);
}

// What a page knows while it is shown: the view, how far it is, the language; and what it can ask of its host.

import { imageOrigins, version } from "portico:page";
import { type Arguments, type Key, Language } from "../design/language";
import { applyTheme } from "../design/theme";
import { Bridge, type Listener } from "./bridge";
import { Deeds } from "./deeds";
import { type Failure, type Outcome, fromError, fromResult } from "./outcome";
import { type HostContext, type Json, isObject } from "./protocol";
import { flag, object, text } from "./read";

export type Phase = "waiting" | "ready" | "failed" | "cancelled" | "alone";

export interface State {
  phase: Phase;
  view: Json;
  /** The arguments of the call whose answer is shown. */
  input: Json;
  failure: Failure;
  language: Language;
  /** For screen readers; the number lets the same words be said twice. */
  said: { text: string; number: number };
}

/** What the page's own tool is asked, and by what. */
export interface Source {
  /** The page's name. */
  name: string;
  /** The tool whose answers the page shows; empty for a page of any tool. */
  tool: string;
  /** For a tool that can change something: what it is asked instead of a change that was perhaps made. */
  asks?: Json;
  /** The view once `args` have been answered, where an answer may hold only a part of it. */
  join?(before: Json, answer: Json, args: Json): Json;
}

const NO_FAILURE: Failure = { kind: "failed", text: "" };
/** Arguments that say of what, and not what is to be done. */
const ABOUT = ["session_id", "location_id", "week", "category"];

export class Runtime implements Listener {
  state: State;
  private readonly bridge: Bridge;
  private host: HostContext = {};
  /** The language that the person chose at the server, by its last answer. */
  private chosen: unknown;
  private readonly watchers = new Set<() => void>();
  private readonly closers = new Set<() => void>();
  private readonly deeds = new Deeds();
  private issued = 0;
  private shown = 0;
  /** Changes that are not answered yet. */
  private underWay = 0;
  private isUnsure = false;

  constructor(
    private readonly own: Window,
    private readonly source: Source,
  ) {
    this.bridge = new Bridge(own, this);
    const language = new Language(own.navigator.language, undefined);
    this.state = { phase: "waiting", view: {}, input: {}, failure: NO_FAILURE, language, said: { text: "", number: 0 } };
  }

  async begin(): Promise<void> {
    try {
      this.context(await this.bridge.connect(`portico-${this.source.name}`, version));
      this.watchSize();
    } catch {
      this.change({ phase: "alone" });
    }
  }

  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  /** What is still to be sent when the host closes the page. */
  whenClosing(closer: () => void): () => void {
    this.closers.add(closer);
    return () => this.closers.delete(closer);
  }

  /** The store that is shown, as an argument of further calls: that of the answer, else that of its call. Empty where neither names one. */
  get store(): { location_id?: string } {
    const { view, input } = this.state;
    const id = text(view, "location_id") ?? text(input, "location_id") ?? text(object(input, "filters") ?? {}, "location_id");
    return id === undefined ? {} : { location_id: id };
  }

  /** The tool to ask again. Empty where the host does not tell which it was. */
  get tool(): string {
    return this.source.tool || (text(this.told, "name") ?? "");
  }

  /** Whether the call that the page was opened with changes nothing, so that it may be made again. Of tools in general only the host can know it. */
  get onlyReads(): boolean {
    const { tool, asks } = this.source;
    if (tool === "") return flag(object(this.told, "annotations") ?? {}, "readOnlyHint") === true;
    const action = this.state.input.action ?? undefined;
    return asks === undefined || action === undefined || action === asks.action;
  }

  /** What may be asked again: never a change. Undefined where there is nothing of the kind. */
  get again(): Json | undefined {
    return this.onlyReads ? this.state.input : this.question;
  }

  /** The question of the page about what it shows. */
  private get question(): Json | undefined {
    const { asks } = this.source;
    const { view, input } = this.state;
    if (asks === undefined) return undefined;
    const about = { ...input, ...("week" in view ? { week: view.week } : {}), ...this.store };
    return { ...asks, ...Object.fromEntries(Object.entries(about).filter(([name]) => ABOUT.includes(name))) };
  }

  /** What the host tells of the tool that was called. */
  private get told(): Json {
    return (isObject(this.host.toolInfo) && object(this.host.toolInfo, "tool")) || {};
  }

  // From the host.

  input(args: Json): void {
    this.change({ input: args });
  }

  result(result: Json): void {
    const outcome = this.heard(fromResult(result));
    this.issued += 1;
    if (outcome.kind === "done" && outcome.hasView) this.show(outcome.view, this.issued, this.state.input);
    else this.change({ phase: "failed", failure: this.failureOf(outcome) });
  }

  cancelled(): void {
    if (this.state.phase === "waiting") this.change({ phase: "cancelled", failure: this.failureOf({ kind: "unknown", text: "" }) });
  }

  context(context: HostContext): void {
    this.host = { ...this.host, ...context };
    applyTheme(this.own.document.documentElement, context);
    this.speak();
  }

  closing(): void {
    for (const closer of this.closers) closer();
    this.watchers.clear();
  }

  // From the page.

  /** Calls a tool in the session that the page's own answer came from. Never throws. */
  async call(tool: string, args: Json): Promise<Outcome> {
    const session = text(this.state.input, "session_id");
    try {
      return this.heard(fromResult(await this.bridge.callTool(tool, session === undefined ? args : { session_id: session, ...args })));
    } catch (error) {
      return fromError(error);
    }
  }

  /** Calls the page's own tool and shows what it answers, unless something newer is shown by then. */
  async refresh(args: Json): Promise<Outcome> {
    return await this.callAndShow(this.tool, args);
  }

  async callAndShow(tool: string, args: Json, writes = false): Promise<Outcome> {
    const turn = ++this.issued;
    if (writes && this.underWay++ > 0) this.isUnsure = true;
    const outcome = await this.call(tool, args);
    // An answer without data leaves what is shown: nothing is better known than before.
    const isLate = outcome.kind === "done" && outcome.hasView && !this.show(outcome.view, turn, args);
    if (writes) await this.written(isLate);
    return outcome;
  }

  /** What was asked for first may have been done last, so that no answer of changes that overlap tells how things are: that is asked once all are answered. */
  private async written(isLate: boolean): Promise<void> {
    this.isUnsure ||= isLate;
    this.underWay -= 1;
    if (this.underWay > 0 || !this.isUnsure || this.question === undefined) return;
    this.isUnsure = false;
    await this.refresh(this.question);
  }

  /** Asks again, by what changes nothing. */
  async retry(): Promise<void> {
    const { again, state } = this;
    if (again === undefined) return;
    this.change({ phase: "waiting", failure: NO_FAILURE });
    const outcome = await this.refresh(again);
    if (this.state.phase !== "waiting") return;
    // What was not known of the change is not known by now either.
    const { kind, text } = state.failure;
    this.change({ phase: "failed", failure: { ...this.failureOf(outcome), kind, text: outcome.text || text } });
  }

  async open(url: string): Promise<boolean> {
    try {
      return await this.bridge.openLink(url);
    } catch {
      return false;
    }
  }

  async save(name: string, mimeType: string, content: string): Promise<boolean> {
    try {
      return await this.bridge.downloadText(name, mimeType, content);
    } catch {
      return false;
    }
  }

  /** Tells the model what the person did, with all that was done before. */
  tellModel(tool: string, args: Json, outcome: Outcome): void {
    this.deeds.add(tool, args, outcome.kind);
    this.bridge.tellModel(this.deeds.text);
  }

  say(key: Key, args: Arguments = {}): void {
    this.sayText(this.state.language.t(key, args));
  }

  sayText(words: string): void {
    this.change({ said: { text: words, number: this.state.said.number + 1 } });
  }

  /** Whether the page may try to load this picture; every other is drawn. */
  mayShow(picture: string): boolean {
    try {
      return imageOrigins.includes(new URL(picture).origin);
    } catch {
      return false;
    }
  }

  /** An answer without anything to show is a failure of the page, whatever was done. What changes nothing has no outcome to be unknown. */
  private failureOf(outcome: Outcome): Failure {
    if (outcome.kind === "done") return { kind: "failed", text: outcome.text };
    return this.onlyReads ? { ...outcome, kind: "failed" } : outcome;
  }

  private heard(outcome: Outcome): Outcome {
    if (outcome.kind !== "done" || outcome.locale === this.chosen) return outcome;
    this.chosen = outcome.locale;
    this.speak();
    return outcome;
  }

  private speak(): void {
    const language = new Language(this.host.locale ?? this.own.navigator.language, this.host.timeZone, this.chosen);
    this.own.document.documentElement.lang = language.messages;
    this.change({ language });
  }

  private show(answer: Json, turn: number, args: Json): boolean {
    if (turn < this.shown) return false;
    this.shown = turn;
    const view = this.source.join?.(this.state.view, answer, args) ?? answer;
    this.change({ phase: "ready", view, failure: NO_FAILURE });
    return true;
  }

  private change(change: Partial<State>): void {
    this.state = { ...this.state, ...change };
    for (const watcher of this.watchers) watcher();
  }

  private watchSize(): void {
    const root = this.own.document.documentElement;
    let last = "";
    const tell = (): void => {
      const size = root.getBoundingClientRect();
      const [width, height] = [Math.ceil(size.width), Math.ceil(size.height)];
      if (last === `${width} ${height}`) return;
      last = `${width} ${height}`;
      this.bridge.tellSize(width, height);
    };
    new ResizeObserver(() => this.own.requestAnimationFrame(tell)).observe(root);
    tell();
  }
}

/** What every view may carry. */
export function notesOf(view: Json): string[] {
  const notes = Array.isArray(view.notes) ? view.notes : [];
  return notes.filter((note): note is string => typeof note === "string" && note !== "").slice(0, 20);
}


// Calls of the parts of a page: how far each is, which waits for which, and what is wished for until it is answered.

import type { Key, Language } from "../design/language";
import type { Outcome } from "./outcome";
import type { Json } from "./protocol";
import type { Runtime } from "./runtime";

/** How far the call of one part is (a product, an item): shown beside it. */
export interface Progress {
  state: "idle" | "busy" | "done" | "failed" | "unknown";
  text: string;
  /** Where to sign in first. */
  signInUrl?: string | undefined;
}

const IDLE: Progress = { state: "idle", text: "" };
const BUSY: Progress = { state: "busy", text: "" };

export interface Call {
  /** What it is about: one call a key at a time. */
  key: string;
  /** Calls of a line are made one after the other. The key, where none is named. */
  line?: string;
  tool: string;
  /** The arguments, or what finds them once it is the call's turn: null where nothing is left to be done. What the page shows can be relied on for
   * that only where `isKnown`: else a change before it is not answered yet, or nobody knows what became of it. */
  args: Json | ((isKnown: boolean) => Json | null);
  /** Whether the tool takes a store (`location_id`), so that it is asked about the one that is shown. */
  atStore?: boolean;
  /** Said when it is done. */
  done: string;
  /** What is named where it is not done, since others of its part may follow. */
  what?: string;
  /** What it changes: of calls that name one, `done` of `after` looks at those of the same alone. */
  about?: string;
  /** Whether the answer is the page's next view. */
  shows?: boolean;
  /** Whether it changes something, so that no answer means "not known" and not "failed". */
  writes?: boolean;
  /** Whether its arguments may hold what no model is to be told. */
  secret?: boolean;
  /** What the person wants to have, such as a quantity. A wish waits for its turn, and of those that wait the last one counts. */
  wish?: { of: string; value: unknown };
  /** It waits for its turn, and others like it too. What neither waits nor wishes is dropped while another of its line runs. */
  waits?: boolean;
  /** A wish is sent once it has stood still for so long, in milliseconds. */
  settles?: number;
  /** It is made once all changes before it have ended: `done` only where each was done, `ended` whatever became of them. */
  after?: "done" | "ended";
}

export interface Calls {
  of(key: string): Progress;
  busy(key: string): boolean;
  /** What is wished for and not answered yet. */
  wished(key: string, of: string): unknown;
  /** Null where it was not made: dropped, or replaced by a newer wish. */
  run(call: Call): Promise<Outcome | null>;
  /** Forgets how the last call of a part went, unless one runs. */
  clear(key: string): void;
}

/** A call in its line, from its first wish to its end. */
interface Turn {
  number: number;
  call: Call;
  runs: boolean;
  /** Runs as long as the wish may still change. */
  timer: number | undefined;
  ended: Promise<Outcome | null>;
  end(outcome: Outcome | null): void;
}

type Line = Turn[];

export class CallLines implements Calls {
  private readonly states = new Map<string, Progress>();
  private readonly lines = new Map<string, Line>();
  /** How a call of a part failed while others of the part were waiting: it is shown once they have ended. */
  private readonly troubles = new Map<string, Progress>();
  private last = 0;

  constructor(
    private readonly runtime: Runtime,
    private readonly changed: () => void,
  ) {}

  of(key: string): Progress {
    return this.states.get(key) ?? IDLE;
  }

  busy(key: string): boolean {
    return this.of(key).state === "busy";
  }

  wished(key: string, of: string): unknown {
    return this.all.findLast(({ call }) => call.key === key && call.wish?.of === of)?.call.wish?.value;
  }

  run(call: Call): Promise<Outcome | null> {
    const line = this.lineOf(call);
    const isDropped = call.wish === undefined && !call.waits && line.some((turn) => turn.runs);
    if (isDropped) return Promise.resolve(null);
    const old = line.find((turn) => !turn.runs && turn.call.key === call.key && call.wish !== undefined && turn.call.wish?.of === call.wish.of);
    if (old !== undefined) this.leave(line, old, null);
    const turn = this.turnOf(call);
    line.push(turn);
    if (call.settles !== undefined) turn.timer = setTimeout(() => this.hurry(line, turn), call.settles);
    this.changed();
    this.next(line);
    return turn.ended;
  }

  clear(key: string): void {
    if (this.busy(key)) return;
    this.states.delete(key);
    this.changed();
  }

  /** Sends at once what has not stood still for long enough. */
  hurryAll(): void {
    for (const line of this.lines.values()) for (const turn of [...line]) this.hurry(line, turn);
  }

  /** The page is closed: what waits is sent now or never. What has to come after something else cannot be sure of that any more. */
  sendAll(): void {
    for (const line of this.lines.values()) {
      for (const turn of [...line]) {
        clearTimeout(turn.timer);
        if (!turn.runs && turn.call.after === undefined) void this.make(line, turn);
      }
    }
  }

  private get all(): Turn[] {
    return [...this.lines.values()].flat();
  }

  private lineOf(call: Call): Line {
    const name = lineName(call);
    const line = this.lines.get(name) ?? [];
    this.lines.set(name, line);
    return line;
  }

  private turnOf(call: Call): Turn {
    let end: Turn["end"] = () => undefined;
    const ended = new Promise<Outcome | null>((resolve) => (end = resolve));
    return { number: ++this.last, call, runs: false, timer: undefined, ended, end };
  }

  private hurry(line: Line, turn: Turn): void {
    clearTimeout(turn.timer);
    turn.timer = undefined;
    this.next(line);
  }

  private leave(line: Line, turn: Turn, outcome: Outcome | null): void {
    clearTimeout(turn.timer);
    line.splice(line.indexOf(turn), 1);
    turn.end(outcome);
  }

  private next(line: Line): void {
    if (line.some((turn) => turn.runs)) return;
    const turn = line.find((one) => one.timer === undefined);
    if (turn !== undefined) void this.make(line, turn);
  }

  private async make(line: Line, turn: Turn): Promise<void> {
    turn.runs = true;
    const outcome = await this.outcomeOf(turn);
    this.leave(line, turn, outcome);
    this.changed();
    this.next(line);
  }

  private async outcomeOf(turn: Turn): Promise<Outcome | null> {
    const { call } = turn;
    const before = this.of(call.key);
    if (call.after !== undefined) {
      this.set(call.key, BUSY);
      const isDone = await this.othersEnd(turn);
      if (!isDone && call.after === "done") return this.tell(call, { kind: "failed", text: this.runtime.state.language.t("common.not_before") });
    }
    const args = typeof call.args === "function" ? call.args(this.isKnown(turn, before)) : call.args;
    this.set(call.key, args === null ? before : BUSY);
    return args === null ? null : this.tell(call, await this.ask(call, args));
  }

  private isKnown(turn: Turn, before: Progress): boolean {
    const trouble = this.troubles.get(turn.call.key);
    const isAnswered = this.lineOf(turn.call).every((other) => other === turn || !other.runs);
    return isAnswered && before.state !== "unknown" && trouble?.state !== "unknown";
  }

  private async ask(call: Call, given: Json): Promise<Outcome> {
    const { runtime } = this;
    const args = call.atStore ? { ...runtime.store, ...given } : given;
    const outcome = await (call.shows ? runtime.callAndShow(call.tool, args, call.writes) : runtime.call(call.tool, args));
    if (call.writes) runtime.tellModel(call.tool, call.secret ? {} : args, outcome);
    return outcome;
  }

  /** Waits for all changes but those that wait for this one. Whether each was done. */
  private async othersEnd(own: Turn): Promise<boolean> {
    let isDone = true;
    const { call } = own;
    const isBefore = (turn: Turn): boolean => turn.call.after === undefined || turn.number < own.number;
    const concerns = ({ about }: Call): boolean => call.after === "ended" || call.about === undefined || about === call.about;
    const others = (): Turn[] => this.all.filter((turn) => turn.call.writes && lineName(turn.call) !== lineName(own.call) && isBefore(turn) && concerns(turn.call));
    for (let waiting = others(); waiting.length > 0; waiting = others()) {
      this.hurryAll();
      const outcomes = await Promise.all(waiting.map((turn) => turn.ended));
      isDone &&= outcomes.every((outcome) => outcome === null || outcome.kind === "done");
    }
    return isDone;
  }

  private tell(call: Call, outcome: Outcome): Outcome {
    const progress = progressOf(outcome, call, this.runtime.state.language);
    this.set(call.key, this.troubled(call, progress));
    if (progress.text !== "") this.runtime.sayText(progress.text);
    return outcome;
  }

  /** What is shown of a part: how its last call went, unless one before it failed that was asked for at the same time. */
  private troubled({ key }: Call, progress: Progress): Progress {
    const trouble = progress.state === "done" ? this.troubles.get(key) : progress;
    const waits = this.all.filter((turn) => turn.call.key === key).length > 1;
    if (waits && trouble !== undefined) this.troubles.set(key, trouble);
    else this.troubles.delete(key);
    return trouble ?? progress;
  }

  private set(key: string, progress: Progress): void {
    this.states.set(key, progress);
    this.changed();
  }
}

function lineName({ line, key }: Call): string {
  return line ?? key;
}

function progressOf(outcome: Outcome, call: Call, language: Language): Progress {
  if (outcome.kind === "done") return { state: "done", text: call.done };
  const unknown = outcome.kind === "unknown" && call.writes === true;
  const key: Key = unknown ? "common.unknown" : "common.failed";
  const words = [call.what === undefined ? "" : `${call.what}:`, language.t(key), outcome.text].filter((part) => part !== "").join(" ");
  return { state: unknown ? "unknown" : "failed", text: words, signInUrl: outcome.signInUrl };
}

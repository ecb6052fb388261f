// What the person did in this view, in few words: what the model is told replaces what it was told before, so that it is told all of it.

import type { Outcome } from "./outcome";
import type { Json } from "./protocol";

const MOST = 20;
/** Characters of one value. */
const LONGEST = 80;
/** What says nothing to a model that it does not know: its own session and store. */
const KNOWN = ["session_id", "location_id"];
const WORDS = { done: "done", failed: "not done", unknown: "not known whether done" };

export class Deeds {
  private readonly lines: string[] = [];

  add(tool: string, args: Json, kind: Outcome["kind"]): void {
    this.lines.push(`- ${[tool, ...wordsOf(args)].join(" ")}: ${WORDS[kind]}`);
  }

  get text(): string {
    const left = this.lines.length - MOST;
    return ["What the person did in this view, the last at the end:", ...(left > 0 ? [`- (${left} earlier ones)`] : []), ...this.lines.slice(-MOST)].join("\n");
  }
}

function wordsOf({ action, ...args }: Json): string[] {
  const named = Object.entries(args).filter(([name, value]) => !KNOWN.includes(name) && value !== undefined);
  return [...(typeof action === "string" ? [action] : []), ...named.map(([name, value]) => `${name}=${shortened(JSON.stringify(value))}`)];
}

function shortened(text: string): string {
  const letters = [...text];
  return letters.length > LONGEST ? `${letters.slice(0, LONGEST).join("")}…` : text;
}

// A small renderer with the part of Preact's interface that the pages use: the pages are written and type-checked
// against Preact, and the build puts this in its place (a page may weigh 60 KB with four languages, and this is a sixth
// of Preact). Any change draws the whole page anew, once a microtask; what is in the document is only changed where it differs.

import { type Spot, moveTo, spotOf } from "./focus";

export type Child = VNode | string | number | boolean | null | undefined | Child[];
type Props = Record<string, unknown> & { children?: Child };
type Component = (props: Props) => Child;

export interface VNode {
  type: string | Component;
  props: Props;
  key: unknown;
}

type Cell = { value?: unknown; deps?: unknown[] | undefined; end?: (() => void) | void };

/** What a piece of the page was drawn from, and what it became. Components and lists have no node of their own. */
interface Drawn {
  type: unknown;
  key: unknown;
  node: Node | null;
  kids: Drawn[];
  cells: Cell[];
  props: Props;
}

const TEXT = 1;
const SVG = "http://www.w3.org/2000/svg";
/** State that is the element's own and not its attribute. */
const LIVE = new Set(["value", "checked", "selected"]);
const NOTHING: Props = {};

let top: { place: Element; make: Child; drawn: Drawn } | null = null;
let planned = false;
let current: Drawn | null = null;
let cell = 0;
let ids = 0;
let effects: (() => void)[] = [];
/** Where what had the focus was, if the draw took it away. */
let lost: Spot | null = null;

export function Fragment(props: Props): Child {
  return props.children;
}

export function jsx(type: string | Component, props: Props, key?: unknown): VNode {
  return { type, props, key };
}

export const jsxs = jsx;

/** Draws `make` into `place`. There is one such place a page. */
export function render(make: Child, place: Element): void {
  top = { place, make, drawn: fresh("", undefined) };
  draw();
}

function plan(): void {
  if (planned) return;
  planned = true;
  queueMicrotask(draw);
}

function draw(): void {
  planned = false;
  if (top === null) return;
  const focused = document.activeElement;
  lost = null;
  drawKids(top.drawn, top.make, false);
  settle(top.place, top.drawn);
  // A node that was moved has lost the focus.
  if (focused instanceof HTMLElement && focused !== document.activeElement && focused.isConnected && document.hasFocus()) focused.focus();
  const due = effects;
  effects = [];
  for (const effect of due) effect();
  // Some effects have moved it already.
  if (lost !== null) moveTo(lost);
}

function fresh(type: unknown, key: unknown): Drawn {
  return { type, key, node: null, kids: [], cells: [], props: NOTHING };
}

function flat(child: Child, into: (VNode | string)[] = []): (VNode | string)[] {
  if (Array.isArray(child)) for (const each of child) flat(each, into);
  else if (typeof child === "object" && child !== null) into.push(child);
  // What is not there keeps its place, so that what follows it stays what it was.
  else into.push(child === null || child === undefined || typeof child === "boolean" ? "" : String(child));
  return into;
}

function drawKids(owner: Drawn, child: Child, inSvg: boolean): void {
  // Those of one key are told apart by their order: keys may come from any tool.
  const before = new Map<unknown, Drawn[]>();
  owner.kids.forEach((kid, index) => before.set(kid.key ?? index, [...(before.get(kid.key ?? index) ?? []), kid]));
  const next = flat(child).map((made, index) => {
    const [type, key] = typeof made === "string" ? [TEXT, undefined] : [made.type, made.key];
    const same = before.get(key ?? index);
    const kid = same?.[0]?.type === type ? (same.shift() as Drawn) : fresh(type, key);
    drawOne(kid, made, inSvg);
    return kid;
  });
  for (const gone of [...before.values()].flat()) drop(gone, true);
  owner.kids = next;
}

function drawOne(drawn: Drawn, made: VNode | string, inSvg: boolean): void {
  if (typeof made === "string") drawText(drawn, made);
  else if (typeof made.type === "string") drawElement(drawn, made.type, made.props, inSvg || made.type === "svg");
  else drawComponent(drawn, made.type, made.props, inSvg);
}

function drawText(drawn: Drawn, words: string): void {
  if (drawn.node === null) drawn.node = document.createTextNode(words);
  else if ((drawn.node as Text).data !== words) (drawn.node as Text).data = words;
}

function drawComponent(drawn: Drawn, component: Component, props: Props, inSvg: boolean): void {
  [current, cell] = [drawn, 0];
  const made = component(props);
  current = null;
  drawKids(drawn, made, inSvg);
}

function drawElement(drawn: Drawn, tag: string, props: Props, inSvg: boolean): void {
  const element = (drawn.node ?? (inSvg ? document.createElementNS(SVG, tag) : document.createElement(tag))) as Element;
  const isNew = drawn.node === null;
  drawn.node = element;
  drawKids(drawn, props.children, inSvg);
  settle(element, drawn);
  const old = drawn.props;
  drawn.props = props;
  for (const name in old) if (!(name in props)) set(element, name, undefined, old[name]);
  for (const name in props) if (LIVE.has(name) || props[name] !== old[name]) set(element, name, props[name], old[name]);
  if (isNew && props.ref) (props.ref as { current: unknown }).current = element;
}

function set(element: Element, name: string, value: unknown, old: unknown): void {
  if (name === "children" || name === "ref" || name === "key") return;
  if (name.startsWith("on")) listen(element, name.slice(2).toLowerCase(), value);
  else if (name === "style") restyle(element as HTMLElement, value as Record<string, string>, old as Record<string, string>);
  else if (LIVE.has(name)) {
    const live = element as unknown as Record<string, unknown>;
    if (live[name] !== value) live[name] = value ?? "";
  } else if (value === undefined || value === null || (value === false && !name.startsWith("aria-"))) element.removeAttribute(name);
  else element.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : String(value));
}

type Handlers = Map<string, (event: Event) => void>;
const handlers = new WeakMap<Element, Handlers>();

function listen(element: Element, event: string, handler: unknown): void {
  const known = handlers.get(element) ?? new Map();
  handlers.set(element, known);
  if (!known.has(event)) element.addEventListener(event, (happened) => known.get(event)?.(happened));
  known.set(event, handler);
}

function restyle(element: HTMLElement, style: Record<string, string> = {}, old: Record<string, string> = {}): void {
  for (const name in old) if (!(name in style)) element.style.removeProperty(name);
  for (const name in style) element.style.setProperty(name, style[name] ?? "");
}

/** Puts the nodes of an element into their order; those in place are not touched. */
function settle(parent: Element, drawn: Drawn): void {
  let next = parent.firstChild;
  for (const node of nodesOf(drawn)) {
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
  }
}

function nodesOf(drawn: Drawn): Node[] {
  return drawn.kids.flatMap((kid) => (kid.node === null ? nodesOf(kid) : [kid.node]));
}

function drop(drawn: Drawn, attached: boolean): void {
  for (const { end } of drawn.cells) if (end) end();
  if (attached && drawn.node !== null) {
    lost ??= spotOf(drawn.node);
    drawn.node.parentNode?.removeChild(drawn.node);
  }
  for (const kid of drawn.kids) drop(kid, attached && drawn.node === null);
}

function own(): Cell {
  if (current === null) throw new Error("a hook outside of a component");
  return (current.cells[cell++] ??= {});
}

export function useState<T>(start: T): [T, (next: T | ((before: T) => T)) => void] {
  const kept = own();
  if (!("value" in kept)) kept.value = start;
  const change = (next: T | ((before: T) => T)): void => {
    const value = typeof next === "function" ? (next as (before: T) => T)(kept.value as T) : next;
    if (Object.is(value, kept.value)) return;
    kept.value = value;
    plan();
  };
  return [kept.value as T, change];
}

export function useRef<T>(start: T): { current: T } {
  return (own().value ??= { current: start }) as { current: T };
}

export function useId(): string {
  return (own().value ??= `i${++ids}`) as string;
}

export function useMemo<T>(make: () => T, deps: unknown[]): T {
  const kept = own();
  if (!isSame(kept, deps)) kept.value = make();
  return kept.value as T;
}

/** Whether a piece was last run for the same; else it is noted for what it is run now. */
function isSame(kept: Cell, deps: unknown[] | undefined): boolean {
  const before = kept.deps;
  kept.deps = deps;
  return deps !== undefined && before !== undefined && deps.every((dep, index) => Object.is(dep, before[index]));
}

export function useEffect(run: () => (() => void) | void, deps?: unknown[]): void {
  const kept = own();
  if (isSame(kept, deps)) return;
  effects.push(() => {
    if (kept.end) kept.end();
    kept.end = run();
  });
}

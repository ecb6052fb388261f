// Where the focus goes when what had it is taken out of the page: the browser leaves it nowhere, and who uses a keyboard
// or a screen reader would begin again at the top.

/** Where a node stood: what it was in, and what stood before it, the nearest first. */
export interface Spot {
  parent: Element;
  before: Node[];
}

/** What a person may go to. What is off is reached too: it only does nothing. */
const REACHED = "button, input, select, textarea, summary, [tabindex='0']";
/** The search goes no farther than the list or part of the page that the node was in. */
const ENDS = "ul, ol, section, nav, main > *";

/** The spot of a node that is about to go, if the focus is in it. */
export function spotOf(node: Node): Spot | null {
  if (node.parentElement === null || !node.contains(document.activeElement)) return null;
  const before = [];
  for (let one = node.previousSibling; one !== null; one = one.previousSibling) before.push(one);
  return { parent: node.parentElement, before };
}

/** Moves the focus, where it was lost, to what took its place, or is next to it. Never takes it from the host's own page. */
export function moveTo(spot: Spot): void {
  const { activeElement, body } = document;
  if (!document.hasFocus() || (activeElement !== null && activeElement !== body)) return;
  const found = near(spot) ?? headingOf(spot.parent);
  if (found?.matches("h1, h2, h3")) found.tabIndex = -1;
  found?.focus();
}

/** The next in the list, else the one before. Of a whole part of the page that has gone there is none. */
function near({ parent, before }: Spot): HTMLElement | undefined {
  if (parent.matches("main > *")) return undefined;
  const all = reachedIn(parent);
  const last = before.find((node) => node.parentNode === parent);
  const found = all.find((element) => last === undefined || isAfter(element, last)) ?? all.at(-1);
  if (found !== undefined || parent.matches(ENDS) || parent.parentElement === null) return found;
  return near({ parent: parent.parentElement, before: [parent] });
}

function isAfter(element: Element, other: Node): boolean {
  return !other.contains(element) && (other.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0;
}

/** What can be reached within an element, and is seen. */
export function reachedIn(parent: Element): HTMLElement[] {
  return [...parent.querySelectorAll<HTMLElement>(REACHED)].filter((element) => element.getClientRects().length > 0);
}

/** The heading of the smallest part of the page that has one, outside of the list. */
function headingOf(from: Element): HTMLElement | null {
  let part: Element | null = from.closest("ul, ol")?.parentElement ?? from;
  let heading = null;
  for (; part !== null && heading === null; part = part.parentElement) heading = part.querySelector<HTMLElement>("h1, h2, h3");
  return heading;
}

// Takes over the host's theme: light or dark, its variables, its safe area.

import { type HostContext, type Json, isObject } from "../bridge/protocol";

const NAMES = /^--(color|font|border|shadow)-[a-z0-9-]{1,60}$/;
/** What could load something, or end the declaration, is no value of a theme. */
const BAD_VALUE = /url\s*\(|image|@|[;{}\\<>]|\/\*/i;

export function applyTheme(root: HTMLElement, context: HostContext): void {
  if (context.theme === "light" || context.theme === "dark") root.dataset.theme = context.theme;
  if (isObject(context.styles) && isObject(context.styles.variables)) applyVariables(root, context.styles.variables);
  if (isObject(context.safeAreaInsets)) applyInsets(root, context.safeAreaInsets);
}

function applyVariables(root: HTMLElement, variables: Json): void {
  for (const [name, value] of Object.entries(variables).slice(0, 300)) {
    if (!NAMES.test(name)) continue;
    if (typeof value === "string" && value.length <= 300 && !BAD_VALUE.test(value)) root.style.setProperty(name, value);
    else root.style.removeProperty(name);
  }
}

function applyInsets(root: HTMLElement, insets: Json): void {
  for (const side of ["top", "right", "bottom", "left"]) {
    const size = insets[side];
    if (typeof size === "number" && size >= 0 && size <= 400) root.style.setProperty(`--inset-${side}`, `${size}px`);
  }
}

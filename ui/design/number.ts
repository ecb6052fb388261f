// Numbers as a person types them: written into fields in the language of the page, and read from them.

import type { Language } from "./language";

const DIGITS = { numberingSystem: "latn" } as Intl.NumberFormatOptions;
const TYPED = { ...DIGITS, useGrouping: false, maximumFractionDigits: 20 };

/**
 * By the decimal sign of the locale, numbers with the other one, as many type them. Three digits after it may be a group:
 * only after a nought are they none.
 */
const OTHER: Record<string, RegExp> = {
  ",": /^[+-]?(?:\d+\.(?:\d{1,2}|\d{4,})|0?\.\d+)$/,
  ".": /^[+-]?(?:\d+,\d{1,2}|0?,\d+)$/,
};

/** The number as one types it: without groups, and with all its digits. What is no number stays as it is. */
export function typed(value: string, language: Language): string {
  const number = finite(value);
  return value.trim() === "" || number === undefined ? value : language.number(TYPED).format(number);
}

/** The number that was typed, as it is written in the language; undefined where it is none, or may be meant as two. */
export function numberOf(words: string, language: Language): number | undefined {
  const { group, decimal, inner } = signsOf(language);
  const plain = words.trim().replace(/\s/g, " ").replaceAll("’", "'").replace("−", "-");
  const grouped = `[1-9]\\d{0,2}(?:[${group}]\\d{${inner},3})*[${group}]\\d{3}`;
  const own = new RegExp(`^[+-]?(?=\\D?\\d)(?:\\d*|${grouped})(?:[${decimal}]\\d*)?$`);
  if (own.test(plain)) return finite(plain.replace(new RegExp(`[${group}]`, "g"), "").replace(decimal, "."));
  return OTHER[decimal]?.test(plain) === true ? finite(plain.replace(",", ".")) : undefined;
}

/** The signs of a number, and the fewest digits of a group that is not the last. */
function signsOf(language: Language): { group: string; decimal: string; inner: number } {
  const parts = language.number(DIGITS).formatToParts(12345678.9);
  const valueOf = (type: string): string => parts.find((part) => part.type === type)?.value ?? "";
  const inner = parts.filter((part) => part.type === "integer")[1]?.value.length ?? 3;
  return { group: valueOf("group").replace(/\s/, " ").replace("’", "'"), decimal: valueOf("decimal"), inner };
}

function finite(plain: string): number | undefined {
  const value = Number(plain);
  return Number.isFinite(value) ? value : undefined;
}

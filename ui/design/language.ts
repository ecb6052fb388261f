// The language of a page: its messages, and how it writes money, numbers and dates.

import messages, { languages } from "portico:messages";
import type en from "../locales/en.json";

export type Key = keyof typeof en;
export type Arguments = Record<string, string | number>;

const FALLBACK = "en-US";
const DATE_ONLY = /^\d{4}-\d{2}-\d{2}$/;

export type DateStyle = "day" | "moment" | "weekday" | "short" | "dayOfMonth";

const STYLES: Record<DateStyle, Intl.DateTimeFormatOptions> = {
  day: { year: "numeric", month: "short", day: "numeric" },
  moment: { year: "numeric", month: "short", day: "numeric", hour: "numeric", minute: "2-digit" },
  weekday: { weekday: "long" },
  dayOfMonth: { month: "short", day: "numeric" },
  short: { weekday: "short", month: "short", day: "numeric" },
};

/** What takes long to make, and so is made once. */
type Kept = Intl.NumberFormat | Intl.DateTimeFormat | Intl.PluralRules | Intl.Collator;

export class Language {
  /** The language of the messages: en, es, fr or de. */
  readonly messages: string;
  /** The locale of numbers and dates: that of the person or the host, where its language is one of ours. */
  readonly locale: string;
  private readonly zone: string | undefined;
  private readonly kept = new Map<string, Kept>();

  /** `locale` is the host's, `chosen` what the person chose at the server, which goes before it. */
  constructor(locale: unknown, zone: unknown, chosen?: unknown) {
    const asked = preferred(canonical(chosen), canonical(locale) ?? FALLBACK);
    const language = languageOf(asked);
    this.messages = languages.includes(language) ? language : "en";
    this.locale = this.messages === language ? asked : FALLBACK;
    this.zone = knownZone(zone);
  }

  /** The message, with its `{names}` filled in. What is filled in stays text: it is never read as markup. */
  readonly t = (key: Key, args: Arguments = {}): string => {
    const message = messages[key]?.[languages.indexOf(this.messages)] ?? key;
    const pattern = typeof message === "string" ? message : this.plural(message, args.count);
    return pattern.replace(/\{(\w+)\}/g, (whole, name: string) => this.show(args[name]) ?? whole);
  };

  money(dollars: number): string {
    return this.number({ style: "currency", currency: "USD" }).format(dollars);
  }

  amount(value: number, digits = 2): string {
    return this.number({ maximumFractionDigits: digits }).format(value);
  }

  /** A date or time (RFC 3339, or a day alone) as the person writes it; what is no date comes back as it is. */
  date(value: string, style: DateStyle): string {
    const date = new Date(DATE_ONLY.test(value) ? `${value}T00:00:00Z` : value);
    if (Number.isNaN(date.getTime())) return value;
    const zone = DATE_ONLY.test(value) ? "UTC" : this.zone;
    const kind = DATE_ONLY.test(value) && style === "moment" ? "day" : style;
    return this.dates(kind, zone).format(date);
  }

  /** The order of two texts, in which numbers go by what they count. */
  compare(a: string, b: string): number {
    return this.keep("collator", () => new Intl.Collator(this.locale, { numeric: true })).compare(a, b);
  }

  private show(value: string | number | undefined): string | undefined {
    return typeof value === "number" ? this.amount(value) : value;
  }

  private plural(forms: Record<string, string>, count: string | number | undefined): string {
    const rules = this.keep("plural", () => new Intl.PluralRules(this.locale)) as Intl.PluralRules;
    return forms[rules.select(Number(count ?? 0))] ?? forms.other ?? "";
  }

  number(options: Intl.NumberFormatOptions): Intl.NumberFormat {
    return this.keep(JSON.stringify(options), () => new Intl.NumberFormat(this.locale, options)) as Intl.NumberFormat;
  }

  private dates(style: DateStyle, zone: string | undefined): Intl.DateTimeFormat {
    const options = zone === undefined ? STYLES[style] : { ...STYLES[style], timeZone: zone };
    return this.keep(`${style} ${zone}`, () => new Intl.DateTimeFormat(this.locale, options)) as Intl.DateTimeFormat;
  }

  private keep<T extends Kept>(key: string, make: () => T): T {
    const kept = this.kept.get(key) as T | undefined;
    if (kept !== undefined) return kept;
    const made = make();
    this.kept.set(key, made);
    return made;
  }
}

function canonical(locale: unknown): string | undefined {
  if (typeof locale !== "string") return undefined;
  try {
    return Intl.getCanonicalLocales(locale.replace("_", "-"))[0];
  } catch {
    return undefined;
  }
}

function languageOf(locale: string): string {
  return locale.split("-")[0] ?? "";
}

/** The person's choice, where it is a language of ours. One without a country takes the host's form of it, such as `en-GB`. */
function preferred(chosen: string | undefined, host: string): string {
  return chosen === undefined || !languages.includes(languageOf(chosen)) || chosen === languageOf(host) ? host : chosen;
}

function knownZone(zone: unknown): string | undefined {
  if (typeof zone !== "string" || zone === "") return undefined;
  try {
    return new Intl.DateTimeFormat(FALLBACK, { timeZone: zone }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

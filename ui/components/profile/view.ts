import type { Json } from "../../bridge/protocol";
import { flag, number, object, text, texts } from "../../bridge/read";
import type { Key, Language } from "../../design/language";
import { numberOf, typed } from "../../design/number";

export interface Preferences {
  location: string | undefined;
  storeName: string | undefined;
  diets: string[];
  budget: string;
  household: string;
  fulfillment: string;
  locale: string;
  priceDrops: boolean;
  coupons: boolean;
}

export interface ProfileView {
  signedIn: boolean;
  signInUrl: string | undefined;
  linked: boolean;
  preferences: Preferences;
  devices: number | undefined;
  loyalty: string | undefined;
  /** What the server has to tell of prices and coupons. */
  notices: string[];
}

export function readProfile(raw: Json): ProfileView {
  return {
    signedIn: flag(raw, "signed_in") !== false,
    signInUrl: text(raw, "sign_in_url"),
    linked: text(raw, "account") === "linked",
    preferences: readPreferences(object(raw, "preferences") ?? {}),
    devices: Array.isArray(raw.devices) ? raw.devices.length : number(raw, "devices"),
    loyalty: text(raw, "loyalty"),
    notices: texts(raw, "notices"),
  };
}

function readPreferences(raw: Json): Preferences {
  const notices = object(raw, "notices") ?? {};
  return {
    location: text(raw, "location_id"),
    storeName: text(raw, "store_name"),
    diets: texts(raw, "diets"),
    budget: text(raw, "weekly_budget") ?? "",
    household: text(raw, "household_size") ?? "",
    fulfillment: text(raw, "fulfillment") ?? "",
    locale: text(raw, "locale") ?? "",
    priceDrops: flag(notices, "price_drops") === true,
    coupons: flag(notices, "coupons") === true,
  };
}

/** Diets that can be chosen. Others that a profile has are kept and shown by their own names. */
export const DIETS: readonly [string, Key][] = [
  ["vegetarian", "diet.vegetarian"],
  ["vegan", "diet.vegan"],
  ["gluten_free", "diet.gluten_free"],
  ["dairy_free", "diet.dairy_free"],
  ["nut_free", "diet.nut_free"],
  ["organic", "diet.organic"],
];

export interface Wrong {
  budget?: Key;
  household?: Key;
}

const MOST_DOLLARS = 10_000;
const MOST_PEOPLE = 20;

/** As the fields begin: numbers as they are typed in the language. */
export function asTyped(kept: Preferences, language: Language): Preferences {
  return { ...kept, budget: typed(kept.budget, language), household: typed(kept.household, language) };
}

export function check(preferences: Preferences, language: Language): Wrong {
  const wrong: Wrong = {};
  const budget = amount(preferences.budget, language);
  const household = amount(preferences.household, language);
  if (budget === undefined || (budget !== null && (budget < 0 || budget > MOST_DOLLARS))) wrong.budget = "profile.wrong_budget";
  const whole = household === null || (household !== undefined && Number.isInteger(household) && household >= 1 && household <= MOST_PEOPLE);
  if (!whole) wrong.household = "profile.wrong_household";
  return wrong;
}

/** Only what was changed, so that nothing another device set is put back. What was cleared is null. */
export function changes(before: Preferences, now: Preferences, language: Language): Json {
  const changed: Json = {};
  const differs = (key: "budget" | "household"): boolean => amount(now[key], language) !== amount(before[key], language);
  if (now.diets.join() !== before.diets.join()) changed.diets = now.diets;
  if (differs("budget")) changed.weekly_budget = amount(now.budget, language);
  if (differs("household")) changed.household_size = amount(now.household, language);
  if (now.fulfillment !== before.fulfillment) changed.fulfillment = now.fulfillment || null;
  if (now.locale !== before.locale) changed.locale = now.locale || null;
  if (now.priceDrops !== before.priceDrops || now.coupons !== before.coupons) changed.notices = { price_drops: now.priceDrops, coupons: now.coupons };
  return changed;
}

/** What the server has now, but for what the person has changed since `known`. */
export function renewed(draft: Preferences, known: Preferences, now: Preferences): Preferences {
  const mine = Object.entries(draft).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(known[name as keyof Preferences]));
  return { ...now, ...Object.fromEntries(mine) };
}

/** Null where nothing is typed, undefined where it is no number. */
function amount(words: string, language: Language): number | null | undefined {
  return words.trim() === "" ? null : numberOf(words, language);
}

import type { Json } from "../../bridge/protocol";
import { flag, list, number, object, text } from "../../bridge/read";
import type { Arguments, Key, Language } from "../../design/language";
import { numberOf, typed } from "../../design/number";

export type FieldType = "text" | "number" | "select" | "checkbox" | "date" | "password";

export interface Field {
  name: string;
  label: string;
  type: FieldType;
  required: boolean;
  options: { value: string; label: string }[];
  min: number | string | undefined;
  max: number | string | undefined;
  pattern: string | undefined;
  help: string | undefined;
  start: string | boolean;
}

export interface FormView {
  title: string | undefined;
  fields: Field[];
  tool: string | undefined;
  args: Json;
  submit: string | undefined;
}

export type Values = Record<string, string | boolean>;

const TYPES: readonly string[] = ["text", "number", "select", "checkbox", "date", "password"];
const MOST_FIELDS = 100;
/** The longest value, in characters; and the longest pattern that is tried on one. */
export const LONGEST = 4000;
const LONGEST_PATTERN = 200;

export function readForm(raw: Json): FormView {
  const submit = object(raw, "submit") ?? {};
  return {
    title: text(raw, "title"),
    fields: list(raw, "fields", readField).slice(0, MOST_FIELDS),
    tool: text(submit, "tool"),
    args: object(submit, "arguments") ?? {},
    submit: text(submit, "label"),
  };
}

function readField(raw: Json): Field | null {
  const name = text(raw, "name");
  if (name === undefined) return null;
  const type = text(raw, "type") ?? "text";
  return {
    name,
    label: text(raw, "label") ?? name,
    type: (TYPES.includes(type) ? type : "text") as FieldType,
    required: flag(raw, "required") === true,
    options: readOptions(raw),
    min: number(raw, "min") ?? text(raw, "min"),
    max: number(raw, "max") ?? text(raw, "max"),
    pattern: text(raw, "pattern"),
    help: text(raw, "help"),
    start: type === "checkbox" ? raw.value === true : (text(raw, "value") ?? ""),
  };
}

/** Options are `{value, label}`, or texts alone. */
function readOptions(raw: Json): Field["options"] {
  if (!Array.isArray(raw.options)) return [];
  const options = raw.options.map((option: unknown) => (typeof option === "string" ? { value: option } : option));
  return list({ options }, "options", (option) => {
    const value = text(option, "value");
    return value === undefined ? null : { value, label: text(option, "label") ?? value };
  });
}

/** What the fields begin with: numbers as they are typed in the language. */
export function startOf(fields: readonly Field[], language: Language): Values {
  return Object.fromEntries(fields.map((field) => [field.name, startOfOne(field, language)]));
}

export function startOfOne({ type, start }: Field, language: Language): string | boolean {
  return type === "number" && typeof start === "string" ? typed(start, language) : start;
}

export interface Wrong {
  key: Key;
  args: Arguments;
}

export function check(field: Field, value: string | boolean, language: Language): Wrong | undefined {
  if (typeof value === "boolean") return field.required && !value ? { key: "form.must_check", args: {} } : undefined;
  if (value.trim() === "") return field.required ? { key: "form.required", args: {} } : undefined;
  if (field.type === "number") return checkNumber(field, numberOf(value, language), language);
  if (field.type === "date") return checkDate(field, value);
  if (field.type === "select") return undefined;
  return checkText(field, value);
}

function checkNumber({ min, max }: Field, value: number | undefined, language: Language): Wrong | undefined {
  if (value === undefined) return { key: "form.no_number", args: {} };
  if (typeof min === "number" && value < min) return { key: "form.at_least", args: { bound: boundOf(min, language) } };
  if (typeof max === "number" && value > max) return { key: "form.at_most", args: { bound: boundOf(max, language) } };
  return undefined;
}

/** A bound with all its digits: rounded it would be another. */
export function boundOf(bound: number, language: Language): string {
  return language.amount(bound, 20);
}

function checkDate({ min, max }: Field, value: string): Wrong | undefined {
  if (typeof min === "string" && value < min) return { key: "form.at_least", args: { bound: min } };
  if (typeof max === "string" && value > max) return { key: "form.at_most", args: { bound: max } };
  return undefined;
}

/** For texts the bounds are those of their length. */
function checkText({ min, max, pattern }: Field, value: string): Wrong | undefined {
  if (typeof min === "number" && value.length < min) return { key: "form.shortest", args: { count: min } };
  if (typeof max === "number" && value.length > max) return { key: "form.longest", args: { count: max } };
  return pattern === undefined || fits(value, pattern) ? undefined : { key: "form.no_fit", args: {} };
}

/** A pattern that is none, or too long to be tried, is left to the server. */
function fits(value: string, pattern: string): boolean {
  if (pattern.length > LONGEST_PATTERN) return true;
  try {
    return new RegExp(`^(?:${pattern})$`, "u").test(value);
  } catch {
    return true;
  }
}

/** The arguments of the call: those given, and the values in their types. What is empty is left out. */
export function argumentsOf(view: FormView, values: Values, language: Language): Json {
  const args: Json = { ...view.args };
  for (const field of view.fields) {
    const value = values[field.name] ?? startOfOne(field, language);
    if (typeof value === "boolean") args[field.name] = value;
    else if (value.trim() === "") continue;
    else args[field.name] = field.type === "number" ? numberOf(value, language) : value;
  }
  return args;
}

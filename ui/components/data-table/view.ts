import type { Json } from "../../bridge/protocol";
import { MAX_ITEMS, list, text } from "../../bridge/read";
import type { Language } from "../../design/language";

export type ColumnType = "text" | "number" | "money" | "date" | "boolean";

export interface Column {
  key: string;
  label: string;
  type: ColumnType;
}

export interface TableView {
  columns: Column[];
  rows: Json[];
  caption: string | undefined;
  /** Rows of the answer that are too many to be shown. */
  left: number;
}

const TYPES: readonly string[] = ["text", "number", "money", "date", "boolean"];
const MOST_COLUMNS = 40;
const LONGEST = 500;

export function readTable(raw: Json): TableView {
  const rows = Array.isArray(raw.rows) ? raw.rows.length : 0;
  return {
    columns: list(raw, "columns", readColumn).slice(0, MOST_COLUMNS),
    rows: list(raw, "rows", (row) => row),
    caption: text(raw, "caption"),
    left: Math.max(0, rows - MAX_ITEMS),
  };
}

function readColumn(raw: Json): Column | null {
  const key = text(raw, "key");
  const type = text(raw, "type") ?? "text";
  return key === undefined ? null : { key, label: text(raw, "label") ?? key, type: (TYPES.includes(type) ? type : "text") as ColumnType };
}

export function isNumeric(type: ColumnType): boolean {
  return type === "number" || type === "money";
}

/** What stands in the cell. Empty where there is no value; a value of another type than the column's is shown as it is. */
export function show(value: unknown, type: ColumnType, language: Language): string {
  if (value === null || value === undefined) return "";
  if (type === "money" && typeof value === "number") return language.money(value);
  if (typeof value === "number") return language.amount(value, 6);
  if (typeof value === "boolean") return language.t(value ? "table.yes" : "table.no");
  if (type === "date" && typeof value === "string") return language.date(value, "moment");
  const whole = typeof value === "string" ? value : JSON.stringify(value);
  return whole.length > LONGEST ? `${whole.slice(0, LONGEST)}…` : whole;
}

export interface Sorting {
  key: string;
  down: boolean;
}

/** Rows in the order of a column; those without a value come last in either direction. */
export function sorted(rows: readonly Json[], column: Column | undefined, down: boolean, language: Language): Json[] {
  if (column === undefined) return [...rows];
  const sign = down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [rank(a[column.key], column.type), rank(b[column.key], column.type)];
    if (x === undefined || y === undefined) return Number(x === undefined) - Number(y === undefined);
    if (typeof x === "number" && typeof y === "number") return (x - y) * sign;
    return language.compare(String(x), String(y)) * sign;
  });
}

function rank(value: unknown, type: ColumnType): number | string | undefined {
  if (value === null || value === undefined || value === "") return undefined;
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return value ? 0 : 1;
  if (type === "date" && typeof value === "string") return Number.isNaN(Date.parse(value)) ? value : Date.parse(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Rows of which some cell has the words. */
export function found(rows: readonly Json[], columns: readonly Column[], words: string, language: Language): Json[] {
  const wanted = words.trim().toLocaleLowerCase();
  if (wanted === "") return [...rows];
  return rows.filter((row) => columns.some((column) => show(row[column.key], column.type, language).toLocaleLowerCase().includes(wanted)));
}

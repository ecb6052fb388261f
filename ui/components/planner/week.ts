// Weeks as ISO 8601 counts them: from Monday, and the first one has the year's first Thursday.

const DAY_MS = 86_400_000;

/** The seven days from a date on, as `2026-11-23`. None where it is no date. */
export function daysFrom(date: string): string[] {
  const first = Date.parse(`${date}T00:00:00Z`);
  if (Number.isNaN(first)) return [];
  return Array.from({ length: 7 }, (_, index) => new Date(first + index * DAY_MS).toISOString().slice(0, 10));
}

/** The week so many weeks after `week`, such as `2026-W48`. Undefined where that is no week. */
export function weekAfter(week: string, weeks: number): string | undefined {
  const match = /^(\d{4})-W(\d{2})$/.exec(week);
  if (match === null) return undefined;
  // The fourth of January is always in the first week.
  const fourth = new Date(Date.UTC(Number(match[1]), 0, 4));
  const monday = fourth.getTime() - ((fourth.getUTCDay() + 6) % 7) * DAY_MS + (Number(match[2]) - 1 + weeks) * 7 * DAY_MS;
  return weekOf(new Date(monday));
}

function weekOf(monday: Date): string {
  const thursday = new Date(monday.getTime() + 3 * DAY_MS);
  const year = thursday.getUTCFullYear();
  const number = Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * DAY_MS)) + 1;
  return `${year}-W${String(number).padStart(2, "0")}`;
}

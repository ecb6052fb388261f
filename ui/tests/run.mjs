// All tests in one process, so that they share one browser. `node tests/run.mjs WORD` runs the files whose names hold WORD.

import { readdirSync } from "node:fs";
import { describe } from "node:test";

const word = process.argv[2] ?? "";
const files = readdirSync(new URL(".", import.meta.url)).filter((name) => name.endsWith(".test.mjs") && name.includes(word));
if (files.length === 0) throw new Error(`no tests are called ${word}`);
// Each waits for the browser more than it computes.
describe("interface components", { concurrency: 2, timeout: 3_600_000 }, async () => {
  for (const file of files.sort()) await import(`./${file}`);
});

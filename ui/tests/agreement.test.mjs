// The pages show what the tools of the Kroger server really answer. Tests of the server write these answers (servers/kroger/tests/tools/pages.rs).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Opened } from "./host/index.mjs";

const answer = (page) => JSON.parse(readFileSync(new URL(`../fixtures/kroger/${page}.json`, import.meta.url), "utf8"));

/** What must be seen of each. */
const SEEN = {
  "product-grid": [/Kroger 2% Reduced Fat Milk/, /\$1\.59/, /In stock/],
  "store-map": [/Kroger Landen/, /mi/],
  coupons: [/Cheese/, /\$/],
  cart: [/Eggs/, /Estimated total/],
  orders: [/\$3\.18/, /Saved|saved/],
  lists: [/Week/, /flowers/],
  planner: [/Pasta/, /Estimated/],
  profile: [/Vegetarian/],
};

for (const [name, seen] of Object.entries(SEEN)) {
  test(`${name}: shows what the server answers`, async () => {
    const page = await Opened.of(name);
    try {
      await page.show(answer(name), { session_id: "s-1" });
      const text = await page.text();
      for (const words of seen) assert.match(text, words);
      assert.doesNotMatch(text, /undefined|NaN|\[object/);
      assert.deepEqual(page.errors, []);
      assert.deepEqual(await page.axe(), []);
    } finally {
      await page.close();
    }
  });
}

// The answers that the tools of Kroger's server really give (its own tests write and check them).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { showingFixture } from "./common.mjs";

const SHOWN = {
  "product-grid": [/Kroger 2% Reduced Fat Milk/, /In stock/, /\$\d+\.\d\d/],
  cart: [/Large White Eggs/, /\$2\.29 each/, /Estimated total/],
  coupons: [/Sharp Cheddar Cheese/, /\$1\.99/, /until Dec \d+, 2026/, /cannot be clipped/],
  "store-map": [/Kroger Landen/, /Pharmacy/, /0\.3 mi/],
  profile: [/linked/, /Vegetarian/, /Devices signed in\s+1/],
  orders: [/\$3\.18/, /marked as ordered/],
  lists: [/Reduced Fat Milk/, /flowers/, /\$1\.59/],
  planner: [/Pasta/, /1 of 3 found/, /\$1\.00 of \$20\.00/],
};

for (const [name, shown] of Object.entries(SHOWN)) {
  test(`kroger: ${name} shows what the server answers`, async () => {
    const view = JSON.parse(readFileSync(new URL(`../fixtures/kroger/${name}.json`, import.meta.url), "utf8"));
    await showingFixture(name, { view, width: 768 }, async (page) => {
      const text = await page.text();
      for (const words of shown) assert.match(text, words);
      assert.doesNotMatch(text, /undefined|NaN|\[object|without a name|null/i);
      assert.deepEqual(await page.overflow(), []);
      assert.deepEqual(await page.axe(), []);
    });
  });
}

test("kroger: an ingredient that was found has its price", async () => {
  const view = JSON.parse(readFileSync(new URL("../fixtures/kroger/planner.json", import.meta.url), "utf8"));
  await showingFixture("planner", { view }, async (page) => {
    await page.role("button", /Pasta/).click();
    const text = await page.text();
    assert.match(text, /Kroger Spaghetti Pasta · 16 oz · \$1\.00/);
    assert.match(text, /Has meat or fish/);
  });
});

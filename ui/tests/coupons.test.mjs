import assert from "node:assert/strict";
import { test } from "node:test";
import { common, fixture, showingFixture } from "./common.mjs";
import { DEADLINE, until } from "./host/index.mjs";

const NAME = "coupons";
const { view } = fixture(NAME);

common(NAME, {
  title: "coupons.title",
  shown: /off Kroger® cheese/,
  empty: { source: "offers", can_clip: false, coupons: [], offers: [], notes: [] },
  change: [
    { action: "clip", coupon_id: "c-1", category: "Dairy", session_id: "s-1" },
    { action: "list", category: "Dairy", session_id: "s-1" },
  ],
});

test("coupons: clips with the keyboard, tells the model, and marks it", async () => {
  await showingFixture(NAME, {}, async (page) => {
    await page.tabTo("button", "Clip: $1 off Kroger® cheese");
    await page.page.keyboard.press("Enter");
    await until(async () => (await page.frame.locator(".badge.success").count()) === 2, "the second mark");
    assert.deepEqual(page.calls, [{ tool: "digital_coupons", args: { session_id: "s-1", action: "clip", coupon_id: "c-1" } }]);
    await until(() => page.notes.model.length === 1, "the model is told");
    assert.match(await page.frame.getByRole("status").innerText(), /Clipped/);
  });
});

test("coupons: asks for a category and keeps the others to choose", async () => {
  const answer = () => ({ content: [], structuredContent: { ...view, coupons: [view.coupons[1]] } });
  await showingFixture(NAME, { answer }, async (page) => {
    await page.frame.getByLabel("Category").selectOption("Pantry");
    await until(async () => (await page.frame.locator(".coupon").count()) === 1, "the category's coupons");
    assert.deepEqual(page.calls[0].args, { session_id: "s-1", action: "list", category: "Pantry" });
    assert.deepEqual(await page.frame.getByLabel("Category").locator("option").allInnerTexts(), ["All", "Breakfast", "Dairy", "Pantry"]);
    await page.frame.getByLabel("Category").selectOption("");
    await until(() => page.calls.length === 2, "all again");
    assert.deepEqual(page.calls[1].args, { session_id: "s-1", action: "list" });
  });
});

test("coupons: of categories chosen while a call runs the last is asked for, and one that was refused is put back", async () => {
  const held = [];
  const answer = () => new Promise((resolve) => held.push((given = { content: [], structuredContent: view }) => resolve(given)));
  await showingFixture(NAME, { answer }, async (page) => {
    const category = page.frame.getByLabel("Category");
    await category.selectOption("Pantry");
    await until(() => held.length === 1, "the first");
    await category.selectOption("Breakfast");
    await category.selectOption("Dairy");
    held[0]();
    await until(() => held.length === 2, "the last");
    assert.equal(await category.inputValue(), "Dairy");
    held[1]({ isError: true, content: [] });
    await until(async () => (await category.inputValue()) === "Pantry", "what is shown");
    assert.deepEqual(page.calls.map(({ args }) => args.category), ["Pantry", "Dairy"]);
    await page.role("button", "Refresh").click();
    await until(() => held.length === 3, "the same again");
    assert.equal(page.calls[2].args.category, "Pantry");
  });
});

test("coupons: all categories at once are offered only where there are coupons", async () => {
  const offers = { source: "offers", can_clip: false, coupons: [], offers: view.offers, notes: [] };
  await showingFixture(NAME, { input: { category: "dairy", session_id: "s-1" }, view: offers }, async (page) => {
    assert.equal(await page.frame.locator("option", { hasText: /^All$/ }).count(), 0);
  });
  const none = { ...view, coupons: [] };
  await showingFixture(NAME, { input: { category: "dairy", session_id: "s-1" }, view: none }, async (page) => {
    assert.deepEqual(await page.frame.getByLabel("Category").locator("option").allInnerTexts(), ["All", "dairy"], "a way back from a category without any");
  });
});

test("coupons: finds words among those shown without a call", async () => {
  await showingFixture(NAME, {}, async (page) => {
    await page.frame.getByLabel("Words").fill("KROGER cheese");
    await until(async () => (await page.frame.locator(".coupon").count()) === 1, "one is left");
    assert.deepEqual(page.calls, []);
  });
});

test("coupons: warns of what ends soon, and offers no clipping where there is none", async () => {
  await showingFixture(NAME, { view: { ...view, can_clip: false, source: "offers" } }, async (page) => {
    assert.match(await page.text(), /2 days left/);
    assert.match(await page.text(), /Last day/);
    assert.equal(await page.frame.getByRole("button", { name: /^Clip/ }).count(), 0);
    assert.match(await page.text(), /cannot be clipped from here/);
  });
});

test("coupons: one that is over is called so, stands last and is not clipped", async () => {
  const [cheese, pasta, ...others] = view.coupons;
  const coupons = [{ ...cheese, days_left: -1 }, { ...cheese, coupon_id: "c-9", title: "Today only", days_left: 0 }, { ...pasta, clipped: false }, ...others];
  await showingFixture(NAME, { view: { ...view, coupons } }, async (page) => {
    const over = page.frame.locator(".coupon").last();
    assert.match(await over.innerText(), /cheese[^]*Over/);
    assert.equal(await over.getByRole("button").count(), 0);
    assert.match(await page.frame.locator(".coupon").first().innerText(), /Today only[^]*Last day[^]*Clip/);
    assert.deepEqual(await page.axe(), []);
  });
});

test("coupons: the last day is the one that the server gives, whatever the zone", async () => {
  const coupons = [{ ...view.coupons[0], expires_at: "2026-12-01T04:59:59Z", last_day: "2026-11-30" }, { ...view.coupons[1], expires_at: "2026-12-24T04:59:59Z" }];
  const price = { current: 1, sale: 1, regular: 2, sale_ends_at: "2026-12-03T04:59:59Z", sale_last_day: "2026-12-02" };
  const offers = [{ product_id: "1", name: "Jam", price }, { product_id: "2", name: "Tea", price: { ...price, sale_last_day: undefined } }];
  for (const [timeZone, shown] of [["Pacific/Honolulu", "Dec 23, 2026"], ["Asia/Tokyo", "Dec 24, 2026"]]) {
    await showingFixture(NAME, { view: { ...view, coupons, offers }, timeZone }, async (page) => {
      const [first, second] = await page.frame.locator(".coupon").allInnerTexts();
      assert.match(first, /until Nov 30, 2026/);
      assert.ok(second.includes(`until ${shown}`), second);
      const [jam, tea] = await page.frame.locator(".offer").allInnerTexts();
      assert.match(jam, /until Dec 2, 2026/);
      assert.match(tea, timeZone === "Asia/Tokyo" ? /until Dec 3, 2026/ : /until Dec 2, 2026/);
    });
  }
});

test("coupons: adds what is on sale to the cart", async () => {
  await showingFixture(NAME, {}, async (page) => {
    await page.role("button", "Add to cart: Bananas").click();
    await page.frame.getByText("Added to the cart: 1 × Bananas").first().waitFor({ timeout: DEADLINE });
    assert.deepEqual(page.calls[0], { tool: "manage_cart", args: { session_id: "s-1", action: "add", product_id: "0000000004011", quantity: 1 } });
  });
});

test("coupons: stays at the store that the call was about", async () => {
  const input = { category: "Dairy", session_id: "s-1", location_id: "01400943" };
  await showingFixture(NAME, { input, answer: () => ({ content: [], structuredContent: view }) }, async (page) => {
    await page.role("button", "Refresh").click();
    await until(() => page.calls.length === 1, "the coupons again");
    await page.role("button", "Add to cart: Bananas").click();
    await until(() => page.calls.length === 2, "the addition");
    assert.deepEqual(page.calls.map(({ args }) => args.location_id), ["01400943", "01400943"]);
  });
});

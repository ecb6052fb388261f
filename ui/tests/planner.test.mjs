import assert from "node:assert/strict";
import { test } from "node:test";
import { common, fixture, idle, showingFixture } from "./common.mjs";
import { DEADLINE, until } from "./host/index.mjs";

const NAME = "planner";
const { view } = fixture(NAME);
const WEEK = { week: "2026-W53" };
const argsOf = (page) => page.calls.map(({ tool, args: { session_id: _, ...args } }) => ({ tool, ...args }));
const same = () => ({ content: [], structuredContent: view });

common(NAME, {
  title: "planner.title",
  shown: /Spaghetti with tomatoes/,
  empty: { week: "2026-W48", starts_on: "2026-11-23", days: [], diets: [], notes: [] },
  change: [
    { action: "send_to_cart", week: "2026-W53", session_id: "s-1", location_id: "01400943" },
    { action: "view", week: "2026-W53", session_id: "s-1", location_id: "01400943" },
  ],
  expandAll: async (page) => page.frame.locator(".meal").nth(1).click(),
});

test("planner: shows the week side by side where there is room, else day by day, in the order of the meals", async () => {
  await showingFixture(NAME, { width: 1280 }, async (page) => {
    const tops = () => page.frame.locator(".day").evaluateAll((days) => new Set(days.map((day) => day.getBoundingClientRect().top)).size);
    assert.equal(await page.frame.locator(".day").count(), 7, "days without meals too");
    assert.equal(await tops(), 1);
    assert.deepEqual(await page.frame.locator(".day").first().locator(".meal .strong").allInnerTexts(), ["Porridge 粥", "Spaghetti with tomatoes"]);
    await page.page.setViewportSize({ width: 360, height: 900 });
    await until(async () => (await tops()) === 7, "one below the other");
  });
});

test("planner: finds and chooses a product with the keyboard", async () => {
  const products = [{ product_id: "p-1", name: "Roma Tomatoes", size: "1 lb", price: { current: 1.49 } }, { product_id: "p-2", name: "Cherry Tomatoes" }];
  const answer = (tool) => (tool === "search_products_advanced" ? { content: [], structuredContent: { products } } : same());
  await showingFixture(NAME, { answer }, async (page) => {
    await page.tabTo("button", /Spaghetti with tomatoes/);
    await page.page.keyboard.press("Enter");
    await page.frame.getByRole("heading", { name: "Spaghetti with tomatoes" }).waitFor({ timeout: DEADLINE });
    assert.equal(await page.frame.evaluate(() => document.activeElement.getAttribute("aria-label")), "Meal", "the focus goes to what opened");
    await page.tabTo("button", /^Find a product: Tomaten/);
    await page.page.keyboard.press("Enter");
    await page.role("button", "Take Roma Tomatoes").waitFor({ timeout: DEADLINE });
    await page.tabTo("button", "Take Roma Tomatoes");
    await page.page.keyboard.press("Enter");
    await until(() => page.calls.length === 2, "both calls");
    assert.deepEqual(argsOf(page), [
      { tool: "search_products_advanced", query: "Tomaten aus dem Gewächshaus, möglichst ungespritzt und sonnengereift", limit: 5 },
      { tool: "meal_planner", ...WEEK, action: "choose", meal_id: "m-2", ingredient_id: "g-2", product_id: "p-1" },
    ]);
  });
});

test("planner: adds a meal to a day, and says what is missing before it calls", async () => {
  await showingFixture(NAME, { answer: same }, async (page) => {
    await page.role("button", /^Add a meal: Thu, Dec 31/).click();
    await page.role("button", "Add the meal").click();
    await page.frame.getByText("Give it a name.").waitFor({ timeout: DEADLINE });
    assert.deepEqual(await page.axe(), []);
    assert.deepEqual(page.calls, []);
    await page.frame.getByLabel("What").fill("Fondue");
    await page.frame.getByLabel("Servings").fill("6");
    await page.frame.getByLabel("Ingredients").fill("cheese\n\n  white bread ");
    await page.role("button", "Add the meal").click();
    await until(() => page.calls.length === 1, "the call");
    const meal = { date: "2026-12-31", slot: "dinner", title: "Fondue", servings: 6, ingredients: [{ text: "cheese" }, { text: "white bread" }] };
    assert.deepEqual(argsOf(page), [{ tool: "meal_planner", ...WEEK, action: "add_meal", ...meal }]);
    await until(async () => (await page.frame.getByLabel("Ingredients").count()) === 0, "the form is gone");
    assert.equal(await page.role("button", /^Add a meal: Thu, Dec 31/).evaluate((button) => button === document.activeElement), true, "the focus is back");
  });
});

test("planner: a form that is open when the week turns goes on with the same day of the week that is shown", async () => {
  const next = { ...view, week: "2027-W01", starts_on: "2027-01-04", days: [] };
  await showingFixture(NAME, { answer: () => ({ content: [], structuredContent: next }) }, async (page) => {
    await page.role("button", /^Add a meal: Thu, Dec 31/).click();
    await page.frame.getByLabel("What").fill("Fondue");
    await page.role("button", "The week after").click();
    await page.frame.getByText("Jan 10, 2027").waitFor({ timeout: DEADLINE });
    assert.equal(await page.frame.getByLabel("Day", { exact: true }).evaluate((field) => field.selectedOptions[0]?.innerText), "Thu, Jan 7");
    await page.role("button", "Add the meal").click();
    await until(() => page.calls.length === 2, "the call");
    const { week, date, title } = page.calls[1].args;
    assert.deepEqual({ week, date, title }, { week: "2027-W01", date: "2027-01-07", title: "Fondue" });
  });
});

test("planner: ingredients that are too many or too long are said before anything is sent, and none is cut", async () => {
  const lines = Array.from({ length: 41 }, (_, index) => `ingredient ${index} ${"x".repeat(100)}`);
  await showingFixture(NAME, { answer: same }, async (page) => {
    await page.role("button", /^Add a meal: Thu, Dec 31/).click();
    await page.frame.getByLabel("What").fill("Fondue");
    for (const wrong of [lines, ["x".repeat(121)]]) {
      await page.frame.getByLabel("Ingredients").fill(wrong.join("\n"));
      await page.role("button", "Add the meal").click();
      await page.frame.getByText("At most 40 ingredients of 120 characters each.").waitFor({ timeout: DEADLINE });
      assert.deepEqual(page.calls, []);
      assert.equal(await page.frame.getByLabel("Ingredients").getAttribute("aria-invalid"), "true");
      assert.deepEqual(await page.axe(), []);
      await page.frame.getByLabel("Ingredients").fill("");
      await until(async () => (await page.frame.locator(".wrong").count()) === 0, "nothing is wrong");
    }
    await page.frame.getByLabel("Ingredients").fill(lines.slice(0, 40).join("\n"));
    await page.role("button", "Add the meal").click();
    await until(() => page.calls.length === 1, "the call");
    assert.equal(page.calls[0].args.ingredients.length, 40);
    assert.equal(page.calls[0].args.ingredients.at(-1).text, lines[39]);
  });
});

test("planner: how the last meal went does not stand in the form for the next one", async () => {
  const refuse = () => ({ isError: true, content: [{ type: "text", text: "The week is full." }] });
  await showingFixture(NAME, { answer: refuse }, async (page) => {
    await page.role("button", /^Add a meal: Thu, Dec 31/).click();
    await page.frame.getByLabel("What").fill("Fondue");
    await page.role("button", "Add the meal").click();
    await page.frame.locator(".notice.danger").waitFor({ timeout: DEADLINE });
    await page.role("button", /^Add a meal: Wed, Dec 30/).click();
    await until(async () => (await page.frame.getByLabel("What").inputValue()) === "", "another form");
    await until(async () => (await page.frame.locator(".notice").count()) === 0, "nothing of the last one");
  });
});

test("planner: matches, sends, clears, removes, and turns over the end of a year with 53 weeks", async () => {
  await showingFixture(NAME, { answer: same }, async (page) => {
    await page.role("button", "Find products for all").click();
    await until(() => page.calls.length === 1, "match");
    await idle(page);
    await page.role("button", "Put all into the cart").click();
    await until(() => page.calls.length === 2, "send");
    await idle(page);
    await page.role("button", "Empty the week").click();
    await page.role("button", "Yes, empty it").click();
    await until(() => page.calls.length === 3, "clear");
    await idle(page);
    await page.role("button", /Porridge/).click();
    await page.role("button", "Remove the meal").click();
    await page.role("button", "Yes, remove it").click();
    await until(() => page.calls.length === 4, "remove");
    await idle(page);
    await page.role("button", "The week after").click();
    await until(() => page.calls.length === 5, "next");
    await idle(page);
    await page.role("button", "The week before").click();
    await until(() => page.calls.length === 6, "before");
    await idle(page);
    assert.deepEqual(argsOf(page).map(({ tool: _, ...args }) => args), [
      { ...WEEK, action: "match" },
      { ...WEEK, action: "send_to_cart" },
      { ...WEEK, action: "clear" },
      { ...WEEK, action: "remove_meal", meal_id: "m-1" },
      { week: "2027-W01", action: "view" },
      { week: "2026-W52", action: "view" },
    ]);
  });
});

test("planner: stays at the store that the call was about", async () => {
  const input = { action: "view", ...WEEK, session_id: "s-1", location_id: "01400943" };
  const answer = (tool) => (tool === "meal_planner" ? same() : { content: [], structuredContent: { products: [{ product_id: "p-1", name: "Basil" }] } });
  await showingFixture(NAME, { input, answer }, async (page) => {
    await page.role("button", "Refresh").click();
    await until(() => page.calls.length === 1, "the week again");
    await page.role("button", "Find products for all").click();
    await until(() => page.calls.length === 2, "match");
    await page.role("button", /Spaghetti with tomatoes/).click();
    await page.role("button", "Find a product: basil").click();
    await page.role("button", "Take Basil").click();
    await until(() => page.calls.length === 4, "search and choice");
    assert.deepEqual(page.calls.map(({ args }) => args.location_id ?? args.filters), ["01400943", "01400943", { location_id: "01400943" }, "01400943"]);
  });
});

test("planner: why there is no product is told in the language of the page, with the products that it names", async () => {
  const ingredient = (id, more) => ({ ingredient_id: id, text: id, quantity: 1, product: null, sent: false, ...more });
  const meal = {
    meal_id: "m-9",
    slot: "dinner",
    title: "Eintopf",
    servings: 2,
    ingredients: [
      ingredient("Wurst", { state: "excluded", reason: "the closest product has milk", reason_code: "milk" }),
      ingredient("Tortillas", { state: "no_match", reason: "was not found; similar: Corn Tortillas", reason_code: "only_similar", reason_products: ["Corn Tortillas"] }),
      ingredient("Reis", { state: "no_match", reason: "grows on the moon", reason_code: "lunar" }),
    ],
  };
  await showingFixture(NAME, { view: { ...view, days: [{ date: view.days[0].date, meals: [meal] }] }, locale: "de-DE" }, async (page) => {
    await page.frame.getByRole("button", { name: /Eintopf/ }).click();
    await page.frame.getByText("Enthält Milch").waitFor({ timeout: DEADLINE });
    const text = await page.text();
    assert.ok(text.includes("Hier nur Ähnliches: Corn Tortillas") && text.includes("grows on the moon") && !text.includes("similar:"), text);
  });
});

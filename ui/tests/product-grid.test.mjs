import assert from "node:assert/strict";
import { test } from "node:test";
import { common, fixture, showingFixture } from "./common.mjs";
import { DEADLINE, until } from "./host/index.mjs";

const NAME = "product-grid";
const { view, input } = fixture(NAME);
const MILK = "Kroger® 2% Reduced Fat Milk";

common(NAME, {
  title: "grid.title",
  shown: /Reduced Fat Milk/,
  empty: { products: [], matches: 0, considered: 0, total: 0, offset: 0, left_out_without_price: 0, notes: [] },
  expandAll: async (page) => page.role("button", /^(Filters|Filtros|Filtres|Filter)$/).click(),
});

const names = (page) => page.frame.locator(".product h2").allInnerTexts();

test("product-grid: says what a price by weight is for, and about what a piece costs", async () => {
  await showingFixture(NAME, {}, async (page) => {
    const bananas = await page.frame.locator(".product", { hasText: "Bananas" }).locator(".price").innerText();
    assert.match(bananas.replace(/\s+/g, " "), /\$0\.59 \/ lb about \$0\.27 each/);
    const milk = await page.frame.locator(".product", { hasText: MILK }).locator(".price").innerText();
    assert.doesNotMatch(milk, /\/|each/);
  });
});

test("product-grid: sorts at once, and asks the server for the same order", async () => {
  let answer;
  const held = new Promise((resolve) => (answer = resolve));
  await showingFixture(NAME, { answer: () => held }, async (page) => {
    await page.frame.getByLabel("Sort by").selectOption("price_low");
    assert.deepEqual((await names(page)).slice(0, 2), ["Bananas", "Kroger® Vitamin D Whole Milk"], "before the server answers");
    await until(() => page.calls.length === 1, "the call");
    assert.deepEqual(page.calls[0], { tool: "search_products_advanced", args: { ...input, sort: "price_low", offset: 0 } });
    answer({ content: [], structuredContent: { ...view, products: [view.products[2]] } });
    await until(async () => (await names(page)).length === 1, "the server's answer");
    assert.match(await page.frame.getByRole("status").innerText(), /Sorted/);
  });
});

/** Answers each call when it is told to. */
function holding() {
  const held = [];
  return { held, answer: (_, args) => new Promise((resolve) => held.push((given) => resolve(given ?? { content: [], structuredContent: { ...view, offset: args.offset } }))) };
}
const refusal = { isError: true, content: [{ type: "text", text: "Not now." }] };

test("product-grid: what is chosen while a search runs is asked for once that has ended, and only the last of it", async () => {
  const { held, answer } = holding();
  await showingFixture(NAME, { answer }, async (page) => {
    const sort = page.frame.getByLabel("Sort by");
    await page.role("button", "Filters").click();
    await page.frame.getByLabel("Brand").fill("Kroger");
    await page.role("button", "Apply").click();
    await until(() => held.length === 1, "the filter");
    await sort.selectOption("name");
    await sort.selectOption("price_low");
    held[0]();
    await until(() => held.length === 2, "the order");
    await page.role("button", "Clear filters").click();
    assert.equal(await sort.inputValue(), "price_low");
    held[1]();
    await until(() => held.length === 3, "without filters");
    held[2]();
    await until(async () => (await page.frame.locator(".products").getAttribute("aria-busy")) === "false", "the end");
    const filters = { location_id: "01400943" };
    assert.deepEqual(page.calls.map(({ args }) => [args.sort, args.filters]), [
      ["relevance", { ...filters, brand: "Kroger" }],
      ["price_low", { ...filters, brand: "Kroger" }],
      ["price_low", filters],
    ]);
    assert.equal(await sort.inputValue(), "price_low");
    assert.equal((await names(page))[0], "Bananas", "in the order that is chosen");
  });
});

test("product-grid: an order or filter that was refused is put back to what is shown", async () => {
  const { held, answer } = holding();
  await showingFixture(NAME, { input: { ...input, filters: { ...input.filters, brand: "Kroger" } }, answer }, async (page) => {
    const sort = page.frame.getByLabel("Sort by");
    await sort.selectOption("price_low");
    await until(() => held.length === 1, "the call");
    held[0](refusal);
    await until(async () => (await sort.inputValue()) === "relevance", "the order before");
    assert.equal((await names(page))[0], view.products[0].name);
    await page.role("button", "Filters").click();
    await page.role("button", "Clear filters").click();
    await until(() => held.length === 2, "the call");
    assert.equal(await page.frame.getByLabel("Brand").inputValue(), "");
    held[1](refusal);
    await until(async () => (await page.frame.getByLabel("Brand").inputValue()) === "Kroger", "the filter before");
    assert.deepEqual(await page.axe(), []);
  });
});

test("product-grid: filters and pages by calls with the arguments that it was opened with", async () => {
  const answer = (_, args) => ({ content: [], structuredContent: { ...view, offset: args.offset, products: view.products.slice(0, 2) } });
  await showingFixture(NAME, { answer }, async (page) => {
    await page.role("button", "Filters").click();
    await page.frame.getByLabel("Brand").fill("Kroger");
    await page.frame.getByLabel("Highest price").fill("3,50");
    await page.frame.getByLabel("On sale").check();
    await page.frame.getByLabel("How to get it").selectOption("curbside");
    await page.role("button", "Apply").click();
    await until(() => page.calls.length === 1, "the call");
    const filters = { location_id: "01400943", brand: "Kroger", max_price: 3.5, on_sale: true, fulfillment: "curbside" };
    assert.deepEqual(page.calls[0].args, { ...input, filters, sort: "relevance", offset: 0 });
    await page.role("button", "More", { exact: true }).click();
    await until(() => page.calls.length === 2, "the next page");
    assert.deepEqual(page.calls[1].args, { ...input, filters, sort: "relevance", offset: 2 });
    await page.frame.getByText("3 to 4 of 23").waitFor({ timeout: DEADLINE });
    await page.role("button", "Back").click();
    await until(() => page.calls.length === 3, "the page before");
    assert.equal(page.calls[2].args.offset, 0);
  });
});

test("product-grid: a price with a sign between its thousands is read whole, and what is no price is said and not applied", async () => {
  await showingFixture(NAME, { answer: () => ({ content: [], structuredContent: view }) }, async (page) => {
    await page.role("button", "Filters").click();
    for (const words of ["cheap", "1,00,0", "-5"]) {
      await page.frame.getByLabel("Highest price").fill(words);
      await page.role("button", "Apply").click();
      await page.frame.locator(".wrong").waitFor({ timeout: DEADLINE });
      assert.equal(await page.frame.getByLabel("Highest price").getAttribute("aria-invalid"), "true", words);
      await until(async () => /A price of 0 or more/.test(await page.frame.getByRole("status").innerText()), "said aloud too");
    }
    assert.deepEqual(await page.axe(), []);
    assert.deepEqual(page.calls, []);
    await page.frame.getByLabel("Highest price").fill("1,000");
    await page.role("button", "Apply").click();
    await until(() => page.calls.length === 1, "the call");
    assert.equal(page.calls[0].args.filters.max_price, 1000);
    await until(async () => (await page.frame.locator(".wrong").count()) === 0, "nothing is wrong any more");
  });
});

test("product-grid: adds to the cart with the keyboard alone, and tells the model", async () => {
  await showingFixture(NAME, {}, async (page) => {
    await page.tabTo("button", `One more of ${MILK}`);
    await page.page.keyboard.press("Enter");
    await page.tabTo("button", `Add to cart: ${MILK}`);
    await page.page.keyboard.press("Space");
    await page.frame.locator(".notice.success").waitFor({ timeout: DEADLINE });
    assert.deepEqual(page.calls, [{ tool: "manage_cart", args: { session_id: "s-1", location_id: "01400943", action: "add", product_id: "0001111041700", quantity: 2 } }]);
    assert.match(await page.frame.getByRole("status").innerText(), /Added to the cart: 2 ×/);
    await until(() => page.notes.model.length === 1, "the model is told");
    const said = 'What the person did in this view, the last at the end:\n- manage_cart add product_id="0001111041700" quantity=2: done';
    assert.deepEqual(page.notes.model[0], { content: [{ type: "text", text: said }] });
    assert.equal(await page.role("button", `Add to cart: ${MILK}`).evaluate((button) => button === document.activeElement), true, "keeps the focus");
  });
});

test("product-grid: an emptied quantity is the one from before when the product is added", async () => {
  await showingFixture(NAME, {}, async (page) => {
    const field = page.role("textbox", `Quantity of ${MILK}`);
    await field.fill("3");
    await field.press("Enter");
    await field.fill("");
    await page.role("button", `Add to cart: ${MILK}`).click();
    await until(() => page.calls.length === 1, "the call");
    assert.equal(page.calls[0].args.quantity, 3);
  });
});

for (const [what, answer, look, words] of [
  ["a failure is called one", { isError: true, content: [{ type: "text", text: "Kroger refused." }] }, ".notice.danger", /Not done\. Kroger refused\./],
  ["no answer is not called a failure", { fails: "connection lost" }, ".notice.warning", /not known whether/],
  ["what may have been saved in data that are away is not called undone", { isError: true, content: [], _meta: { "portico.dev/error": { class: "unavailable" } } }, ".notice.warning", /not known whether/],
  ["an unknown outcome of the server is called one", { isError: true, content: [], _meta: { "portico.dev/error": { class: "unknown_outcome" } } }, ".notice.warning", /not known whether/],
]) {
  test(`product-grid: ${what}`, async () => {
    await showingFixture(NAME, { answer: () => answer }, async (page) => {
      await page.role("button", `Add to cart: ${MILK}`).click();
      await page.frame.locator(`.act ${look}`).waitFor({ timeout: DEADLINE });
      assert.match(await page.frame.locator(`.act ${look}`).innerText(), words);
      assert.equal(page.calls.length, 1, "and it is not tried again by itself");
    });
  });
}

test("product-grid: a product that is out of stock is not added, and one click is one call", async () => {
  const held = new Promise(() => undefined);
  await showingFixture(NAME, { answer: () => held }, async (page) => {
    await page.role("button", /Add to cart: Crème/).click({ force: true });
    for (let click = 0; click < 3; click += 1) await page.role("button", `Add to cart: ${MILK}`).click({ force: true });
    await until(() => page.calls.length > 0, "the call");
    assert.deepEqual(page.calls.map(({ args }) => args.product_id), ["0001111041700"]);
  });
});

test("product-grid: saves to a list that the person chooses", async () => {
  const lists = { lists: [{ list_id: "l1", name: "Week" }, { list_id: "l2", name: "Party" }] };
  await showingFixture(NAME, { answer: () => ({ content: [], structuredContent: lists }) }, async (page) => {
    await page.role("button", `Save to a list: ${MILK}`).click();
    await page.frame.locator(".act select").selectOption("l2");
    await page.role("button", "Save", { exact: true }).click();
    await page.frame.getByText(`On the list: ${MILK}`).first().waitFor({ timeout: DEADLINE });
    assert.deepEqual(page.calls.map(({ args }) => args), [
      { session_id: "s-1", action: "list" },
      { session_id: "s-1", location_id: "01400943", action: "add_item", list_id: "l2", text: MILK, quantity: 1, product_id: "0001111041700" },
    ]);
  });
});

test("product-grid: shows pictures of the declared origin only, and draws the others", async () => {
  await showingFixture(NAME, { pictures: true }, async (page) => {
    await until(() => page.requests.length > 0, "the picture");
    assert.deepEqual(page.requests, [view.products[0].image]);
    assert.equal(await page.frame.locator(".picture img").count(), 1);
    await page.role("radio", "List").check();
    assert.equal(await page.frame.locator(".products.list .picture").count(), view.products.length);
    assert.deepEqual([...new Set(page.attempts)], [view.products[0].image], "no other is even tried");
    await page.role("radio", "Compact").check();
    assert.equal(await page.frame.locator(".picture").count(), 0);
  });
  await showingFixture(NAME, { images: [] }, async (page) => {
    await until(async () => (await page.frame.locator(".picture img").count()) === 0, "the drawing in the picture's place");
    await until(() => page.requests.length === 0, "no request, but what the policy stopped");
  });
});

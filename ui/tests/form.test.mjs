import assert from "node:assert/strict";
import { test } from "node:test";
import { common, showingFixture } from "./common.mjs";
import { DEADLINE, until } from "./host/index.mjs";

const NAME = "form";
const context = { toolInfo: { tool: { name: "product_form", annotations: { readOnlyHint: true }, inputSchema: { type: "object" } } } };

common(NAME, { title: "form.title", shown: /A new product/, empty: { fields: [], submit: { tool: "x" } }, context });

test("form: sends typed values with the arguments given, by the keyboard alone", async () => {
  const answer = () => ({ content: [{ type: "text", text: "Created p-1." }], structuredContent: {} });
  await showingFixture(NAME, { answer }, async (page) => {
    await page.tabTo("textbox", "Name");
    await page.page.keyboard.type("Jam");
    await page.tabTo("textbox", "Price in US dollars");
    await page.page.keyboard.press("Control+A");
    await page.page.keyboard.type("2,50");
    await page.tabTo("combobox", "Unit");
    await page.page.keyboard.type("lit");
    await page.tabTo("checkbox", /Show it/);
    await page.page.keyboard.press("Space");
    await page.frame.getByLabel("PIN").focus();
    await page.page.keyboard.type("0042");
    await page.page.keyboard.press("Enter");
    await page.frame.getByText("Created p-1.").waitFor({ timeout: DEADLINE });
    assert.deepEqual(page.calls, [{ tool: "create_product", args: { shop: "s-7", name: "Jam", price: 2.5, unit: "litre", shown: false, pin: "0042" } }]);
    assert.equal(await page.frame.getByLabel("PIN").inputValue(), "", "a secret does not stay");
    assert.equal(await page.frame.getByLabel("Name").inputValue(), "Jam");
  });
});

test("form: says at each field what is wrong, goes to the first, and calls nothing", async () => {
  await showingFixture(NAME, {}, async (page) => {
    await page.frame.getByLabel("Artikelnummer").fill("nonsense");
    await page.frame.getByLabel("Price").fill("20000");
    await page.frame.getByLabel("On sale from").fill("2020-05-05");
    await page.frame.getByLabel("PIN").fill("12");
    await page.role("button", "Create the product").click();
    await until(async () => (await page.frame.locator(".wrong").count()) === 6, "six fields are wrong");
    const text = await page.text();
    for (const words of [/Needed\./, /does not have the form/, /At most 10,000/, /At least 2026-01-01/, /At least 4 characters/]) assert.match(text, words);
    assert.equal(await page.frame.getByLabel("Name").evaluate((field) => field === document.activeElement), true);
    assert.deepEqual(page.calls, []);
    assert.deepEqual(await page.axe(), []);
  });
});

test("form: a refusal and no answer are told apart, and the values stay", async () => {
  for (const [answer, words] of [[{ isError: true, content: [{ type: "text", text: "The name is taken." }] }, /Not done\. The name is taken/], [{ fails: "lost" }, /not known whether/]]) {
    await showingFixture(NAME, { answer: () => answer }, async (page) => {
      await page.frame.getByLabel("Name").fill("Jam");
      await page.frame.getByLabel("Unit").selectOption("kg");
      await page.frame.getByLabel("PIN").fill("1234");
      await page.role("button", "Create the product").click();
      await page.frame.getByText(words).first().waitFor({ state: "attached", timeout: DEADLINE });
      assert.equal(await page.frame.getByLabel("PIN").inputValue(), "1234");
    });
  }
});

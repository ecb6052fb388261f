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

test("form: two fields of one name stay two, and what is typed stays in the field", async () => {
  const twin = (label) => ({ name: "twin", label, type: "text", required: true });
  await showingFixture(NAME, { view: { fields: [twin("First"), twin("Second")], submit: { tool: "x" } } }, async (page) => {
    await page.tabTo("textbox", "Second");
    await page.page.keyboard.type("abc");
    await until(async () => (await page.frame.getByLabel("Second").inputValue()) === "abc", "what was typed");
    assert.equal(await page.frame.locator("input").count(), 2);
  });
});

test("form: small bounds are said with all their digits, in the language of the page", async () => {
  const fields = [{ name: "salt", label: "Salt", type: "number", required: true, min: 0.005, max: 0.0125 }];
  await showingFixture(NAME, { locale: "de-DE", view: { fields, submit: { tool: "x", label: "Go" } } }, async (page) => {
    assert.match(await page.text(), /0,005.*0,0125/);
    await page.frame.getByLabel("Salt").fill("0,001");
    await page.role("button", "Go").click();
    await page.frame.locator(".wrong").getByText("0,005").waitFor({ timeout: DEADLINE });
  });
});

test("form: a box that must be checked says so to a screen reader, with its help", async () => {
  const fields = [{ name: "agree", label: "I agree", type: "checkbox", required: true, help: "To all of it." }];
  await showingFixture(NAME, { view: { fields, submit: { tool: "x", label: "Go" } } }, async (page) => {
    await page.role("button", "Go").click();
    await page.frame.locator(".wrong").waitFor({ timeout: DEADLINE });
    const box = page.role("checkbox", "I agree");
    const described = (await box.getAttribute("aria-describedby")).split(" ");
    assert.deepEqual(await Promise.all(described.map((id) => page.frame.locator(`[id=${id}]`).innerText())), ["To all of it.", "This must be checked."]);
    assert.equal(await box.getAttribute("aria-invalid"), "true");
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

const numbers = (locale, typed) => [locale, Object.entries(typed)];
const TYPED = [
  numbers("en-US", { "1,000": 1000, "1,000.50": 1000.5, "1,234,567": 1_234_567, "12.5": 12.5, "2,50": 2.5, "0,125": 0.125, "1,0000": null, "10,00,00": null, "1e3": null, "1,23": 1.23, ".5": 0.5, "1 000": null }),
  numbers("de-DE", { "1.000": 1000, "1.000,50": 1000.5, "12.5": 12.5, "12,5": 12.5, "0.125": 0.125, "1.2345": 1.2345, "1.00.000": null, "1,000": 1 }),
  numbers("fr-FR", { "1 000": 1000, "1\u202f000,5": 1000.5, "1.000": null, "12.5": 12.5, "1 00": null }),
  numbers("es-ES", { "1.000": 1000, "9.999,99": 9999.99, "12.5": 12.5 }),
  numbers("de-CH", { "1’000": 1000, "1'000.50": 1000.5, "1,000": null }),
  numbers("en-IN", { "1,00,000": 100_000, "10,000": 10_000 }),
];

for (const [locale, typed] of TYPED) {
  test(`form: a number is read as it is written in ${locale}, or called none`, async () => {
    const fields = [{ name: "price", label: "Price", type: "number", required: true, min: 0, max: 10_000_000 }];
    await showingFixture(NAME, { locale, view: { fields, submit: { tool: "set_price", label: "Set" } } }, async (page) => {
      for (const [words, number] of typed) {
        const before = page.calls.length;
        await page.frame.getByLabel("Price").fill(words);
        await page.role("button", "Set").click();
        if (number === null) await page.frame.locator(".wrong").waitFor({ timeout: DEADLINE });
        else await until(() => page.calls.length === before + 1, `${words} is sent`);
        if (number === null) assert.equal(page.calls.length, before, words);
        else assert.deepEqual(page.calls.at(-1).args, { price: number }, words);
      }
    });
  });
}

test("form: the numbers that it begins with are written as one types them, and sent as they were", async () => {
  const fields = [{ name: "weight", label: "Weight", type: "number", value: 1.125 }, { name: "count", label: "Count", type: "number", value: "1234.5" }];
  await showingFixture(NAME, { locale: "de-DE", view: { fields, submit: { tool: "weigh", label: "Weigh" } } }, async (page) => {
    assert.equal(await page.frame.getByLabel("Weight").inputValue(), "1,125");
    await page.role("button", "Weigh").click();
    await until(() => page.calls.length === 1, "the call");
    assert.deepEqual(page.calls[0].args, { weight: 1.125, count: 1234.5 });
  });
});

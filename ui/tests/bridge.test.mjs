import assert from "node:assert/strict";
import { test } from "node:test";
import { fixture } from "./common.mjs";
import { DEADLINE, Opened, until } from "./host/index.mjs";

const NAME = "product-grid";
const { view, input } = fixture(NAME);

test("bridge: greets the official host by its name, and follows it until it is closed", async () => {
  const page = await Opened.of(NAME);
  try {
    assert.deepEqual(await page.host("app"), { name: "portico-product-grid", version: "0.1.0" });
    await page.show(view, input);
    await until(() => page.notes.size.length > 0, "the size is told");
    assert.deepEqual(await page.host("close"), {});
    await page.role("button", /Add to cart: Bananas/).click();
    await page.frame.locator(".act .notice.danger").waitFor({ timeout: DEADLINE });
    assert.deepEqual(page.calls, [], "nothing is called once it is closed");
  } finally {
    await page.close();
  }
});

test("bridge: hears its own host and no other window", async () => {
  const page = await Opened.of(NAME);
  try {
    await page.show(view, input);
    const forged = { jsonrpc: "2.0", method: "ui/notifications/tool-result", params: { content: [], structuredContent: { products: [{ product_id: "9", name: "Forged" }] } } };
    await page.host("forge", forged);
    await page.frame.evaluate((forged) => window.postMessage(forged, "*"), forged);
    // A window beside the page, of the same origin as the one above it.
    await page.frame.parentFrame().evaluate((forged) => {
      const beside = document.createElement("iframe");
      beside.srcdoc = `<script>parent.frames[0].postMessage(${JSON.stringify(forged)}, "*"); parent.said = true</` + "script>";
      document.body.append(beside);
    }, forged);
    await page.frame.parentFrame().waitForFunction(() => window.said === true, null, { timeout: DEADLINE });
    await page.host("context", { locale: "de" });
    await page.frame.waitForFunction(() => document.documentElement.lang === "de", null, { timeout: DEADLINE });
    assert.doesNotMatch(await page.text(), /Forged/);
    await page.host("result", { content: [], structuredContent: { products: [{ product_id: "9", name: "Real" }] } });
    await page.frame.getByText("Real").waitFor({ timeout: DEADLINE });
  } finally {
    await page.close();
  }
});

test("bridge: answers a ping and refuses what it does not know", async () => {
  const page = await Opened.of(NAME);
  try {
    await page.show(view, input);
    await page.host("forgeAbove", { jsonrpc: "2.0", id: 71, method: "ping" });
    await page.host("forgeAbove", { jsonrpc: "2.0", id: 72, method: "ui/elsewhere" });
    const [pong, refused] = await until(async () => (await page.page.evaluate(() => window.host.seen.length)) === 2 && page.page.evaluate(() => window.host.seen), "both answers");
    assert.deepEqual(pong, { jsonrpc: "2.0", id: 71, result: {} });
    assert.deepEqual([refused.id, refused.error.code], [72, -32601]);
  } finally {
    await page.close();
  }
});

test("bridge: a page without a host says so", async () => {
  const page = await Opened.of(NAME);
  try {
    const alone = await page.context.newPage();
    const { html } = await import("./host/index.mjs");
    await alone.setContent(await html(NAME));
    await alone.getByText("needs a host").waitFor({ timeout: DEADLINE });
  } finally {
    await page.close();
  }
});

test("bridge: an older answer does not replace a newer one", async () => {
  const held = [];
  const page = await Opened.of(NAME, { answer: () => new Promise((resolve) => held.push(resolve)) });
  try {
    await page.show(view, input);
    await page.frame.getByLabel("Sort by").selectOption("name");
    await until(() => held.length === 1, "the call");
    await page.host("result", { content: [], structuredContent: { products: [{ product_id: "1", name: "Newer" }] } });
    await page.frame.getByText("Newer").waitFor({ timeout: DEADLINE });
    held[0]({ content: [], structuredContent: { products: [{ product_id: "2", name: "Older" }] } });
    await page.frame.getByText("Sorted.").waitFor({ state: "attached", timeout: DEADLINE });
    assert.match(await page.text(), /Newer/);
    assert.doesNotMatch(await page.text(), /Older/);
  } finally {
    await page.close();
  }
});

test("bridge: where the answer of a change comes too late to be shown, the page asks how things are", async () => {
  const { view, input } = fixture("cart");
  const [first, second, third] = view.items;
  const held = new Map();
  const answer = (_, { action }) => new Promise((resolve) => held.set(action, (items) => resolve({ content: [], structuredContent: { ...view, items } })));
  const page = await Opened.of("cart", { answer });
  const row = (name) => page.frame.locator(".item", { hasText: name });
  try {
    await page.show({ ...view, items: [first, second, third] }, input);
    const field = page.frame.getByRole("textbox", { name: `Quantity of ${first.name}` });
    await field.fill("7");
    await field.press("Enter");
    await until(() => held.has("update"), "the slow change");
    await page.role("button", `Remove ${third.name}`).click();
    await until(() => held.has("remove"), "the quick one");
    // The server tells of the first what it knows until then.
    held.get("remove")([{ ...first, quantity: 7, state: "unknown" }, second]);
    await row(first.name).getByText("Not known whether").waitFor({ timeout: DEADLINE });
    held.get("update")([{ ...first, quantity: 7 }, second, third]);
    await until(() => held.has("view"), "the question");
    assert.deepEqual(page.calls.at(-1).args, { action: "view", session_id: "s-1" });
    assert.equal(await row(third.name).count(), 0, "what was taken out does not come back");
    held.get("view")([{ ...first, quantity: 7 }, second]);
    await until(async () => (await row(first.name).getByText("Not known whether").count()) === 0, "it is known by now");
    assert.equal(page.calls.length, 3);
  } finally {
    await page.close();
  }
});

test("bridge: where two changes were made at the same time, the page asks how things are once both are answered", async () => {
  const { view, input } = fixture("cart");
  const [first, , third] = view.items;
  const held = new Map();
  const answer = (_, { action }) => new Promise((resolve) => held.set(action, (items) => resolve({ content: [], structuredContent: { ...view, items } })));
  const page = await Opened.of("cart", { answer });
  try {
    await page.show({ ...view, items: [first, third] }, input);
    const field = page.frame.getByRole("textbox", { name: `Quantity of ${first.name}` });
    await field.fill("7");
    await field.press("Enter");
    await until(() => held.has("update"), "the first change");
    await page.role("button", `Remove ${third.name}`).click();
    await until(() => held.has("remove"), "the second");
    // It was done first, and so tells of the first product as it was before.
    held.get("update")([{ ...first, quantity: 7 }]);
    await until(async () => (await page.frame.locator(".item").count()) === 1, "the first answer");
    assert.equal(held.has("view"), false, "not before both are answered");
    held.get("remove")([first]);
    await until(() => held.has("view"), "the question");
    held.get("view")([{ ...first, quantity: 7 }]);
    await until(async () => (await field.inputValue()) === "7", "as it is");
    assert.equal(page.calls.length, 3);
  } finally {
    await page.close();
  }
});

test("bridge: speaks the language that the person chose before the host's, and the host's form of it", async () => {
  const page = await Opened.of(NAME, { locale: "fr-FR" });
  const shown = (locale) => page.host("result", { content: [], structuredContent: view, _meta: locale === undefined ? {} : { "portico.dev/locale": locale } });
  const speaks = (language) => page.frame.waitForFunction((language) => document.documentElement.lang === language, language, { timeout: DEADLINE });
  try {
    await page.show(view, input);
    await speaks("fr");
    await shown("de");
    await speaks("de");
    await page.frame.getByText("2,79\u00a0$").first().waitFor({ timeout: DEADLINE });
    await page.host("context", { locale: "es-MX" });
    await page.host("context", { locale: "de-CH", theme: "dark" });
    await page.frame.getByText("$\u00a02.79").first().waitFor({ timeout: DEADLINE });
    await page.host("context", { locale: "fr-FR" });
    await page.frame.getByText("2,79\u00a0$").first().waitFor({ timeout: DEADLINE });
    await speaks("de");
    for (const none of ["xx-unknown-language", "pt", 7, undefined]) {
      await shown("es");
      await speaks("es");
      await shown(none);
      await speaks("fr");
    }
    assert.deepEqual(page.errors, []);
  } finally {
    await page.close();
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { common, fixture, showingFixture } from "./common.mjs";
import { DEADLINE, until } from "./host/index.mjs";

const NAME = "orders";
const { view } = fixture(NAME);
const answer = (orders) => () => ({ content: [], structuredContent: { ...view, orders } });

common(NAME, {
  title: "orders.title",
  shown: /Nov 20, 2026/,
  empty: { source: "local", orders: [], notes: [] },
  change: [
    { action: "reorder", order_id: "o-2", session_id: "s-1" },
    { action: "list", limit: 200, session_id: "s-1" },
  ],
  expandAll: async (page) => page.frame.locator("summary").click(),
});

test("orders: orders again and forgets, each with the order's id", async () => {
  await showingFixture(NAME, { answer: answer([view.orders[1]]) }, async (page) => {
    await page.role("button", /^Into the cart again: Nov 20/).click();
    await page.frame.locator(".notice.success").waitFor({ timeout: DEADLINE });
    await page.role("button", /^Forget: Nov 20/).click();
    await page.role("button", "Yes, forget it").click();
    await until(async () => (await page.frame.locator(".order").count()) === 1, "it is gone");
    assert.deepEqual(page.calls, [
      { tool: "order_history", args: { session_id: "s-1", action: "reorder", order_id: "o-2" } },
      { tool: "order_history", args: { session_id: "s-1", action: "forget", order_id: "o-2", limit: 200 } },
    ]);
    assert.match(await page.text(), /Forgotten/, "said where the order no longer is");
  });
});

test("orders: shows and says what was left out when an order is put into the cart again", async () => {
  const left = "1 product was sent to your Kroger cart. Left out: Bananas can be ordered 4 times at most.";
  await showingFixture(NAME, { answer: () => ({ content: [], structuredContent: { ...view, orders: [], notes: [left] } }) }, async (page) => {
    await page.role("button", /^Into the cart again: Nov 20/).click();
    await page.frame.locator(".order").first().getByText(left).waitFor({ timeout: DEADLINE });
    assert.equal(await page.frame.locator(".order").count(), 2, "the orders stay as they were");
    await until(async () => (await page.frame.getByRole("status").innerText()).includes(left), "it is said");
    assert.deepEqual(await page.axe(), []);
  });
});

test("orders: marks the cart as ordered with the keyboard", async () => {
  await showingFixture(NAME, { answer: answer(view.orders) }, async (page) => {
    await page.tabTo("button", "I have ordered what is in the cart");
    await page.page.keyboard.press("Enter");
    await page.frame.locator(".notice.success").waitFor({ timeout: DEADLINE });
    assert.deepEqual(page.calls[0].args, { session_id: "s-1", action: "mark_ordered", limit: 200 });
  });
});

test("orders: shows the newest first ones, times in the host's zone, and the items on demand", async () => {
  const many = Array.from({ length: 45 }, (_, index) => ({ ...view.orders[0], order_id: `o-${index}` }));
  await showingFixture(NAME, { view: { ...view, orders: many }, timeZone: "Asia/Tokyo" }, async (page) => {
    assert.equal(await page.frame.locator(".order").count(), 20);
    assert.match(await page.frame.locator(".order h2").first().innerText(), /Nov 21, 2026, 3:30\sAM/);
    await page.role("button", "Older ones").click();
    await page.role("button", "Older ones").click();
    await until(async () => (await page.frame.locator(".order").count()) === 45, "all");
    await page.frame.locator("summary").first().focus();
    await page.page.keyboard.press("Enter");
    await page.frame.getByText("$14,814.00").first().waitFor({ timeout: DEADLINE });
  });
});

test("orders: asks for those that the call left out", async () => {
  const many = Array.from({ length: 45 }, (_, index) => ({ ...view.orders[0], order_id: `o-${index}` }));
  await showingFixture(NAME, { view: { ...view, orders: many.slice(0, 20), total: 45 }, answer: answer(many) }, async (page) => {
    for (const shown of [40, 45]) {
      await page.role("button", "Older ones").click();
      await until(async () => (await page.frame.locator(".order").count()) === shown, `${shown} orders`);
    }
    assert.equal(await page.role("button", "Older ones").count(), 0);
    assert.deepEqual(page.calls.map(({ args }) => args), [{ session_id: "s-1", action: "list", limit: 200 }]);
    await page.role("button", "Refresh").click();
    await until(() => page.calls.length === 2, "all again");
    assert.equal(page.calls[1].args.limit, 200);
  });
});

test("orders: what happened is told in the language of the page, and what is not known here as the server says it", async () => {
  const events = [
    { at: "2026-11-20T10:00:00Z", kind: "marked", what: "marked as ordered" },
    { at: "2026-11-21T10:00:00Z", kind: "reordered", what: "sent to the cart again" },
    { at: "2026-11-22T10:00:00Z", kind: "returned", what: "brought back" },
  ];
  await showingFixture(NAME, { view: { ...view, orders: [{ ...view.orders[0], events }] }, locale: "es-ES" }, async (page) => {
    await page.frame.locator("summary").first().click();
    await page.frame.getByText("puesto otra vez en el carrito").waitFor({ timeout: DEADLINE });
    const text = await page.text();
    assert.ok(text.includes("marcado como pedido") && text.includes("brought back") && !text.includes("sent to the cart"), text);
  });
});

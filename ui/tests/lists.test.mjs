import assert from "node:assert/strict";
import { test } from "node:test";
import { common, fixture, showingFixture } from "./common.mjs";
import { DEADLINE, until } from "./host/index.mjs";

const NAME = "lists";
const { view } = fixture(NAME);
const answer = (lists) => () => ({ content: [], structuredContent: { lists } });
const argsOf = (page) => page.calls.map(({ args: { session_id: _, ...args } }) => args);

common(NAME, {
  title: "lists.title",
  shown: /Grandma’s birthday/,
  empty: { lists: [], notes: [] },
  change: [
    { action: "add_item", list_id: "l-1", text: "Bread", session_id: "s-1" },
    { action: "list", session_id: "s-1" },
  ],
});

test("lists: adds item after item with the keyboard, and the field keeps the focus", async () => {
  await showingFixture(NAME, { answer: answer(view.lists) }, async (page) => {
    await page.tabTo("textbox", "Add an item");
    for (const word of ["Bread", "Butter"]) {
      await page.page.keyboard.type(word);
      await page.page.keyboard.press("Enter");
      await until(async () => (await page.frame.getByLabel("Add an item").inputValue()) === "", `${word} is added`);
    }
    assert.deepEqual(argsOf(page), [
      { action: "add_item", list_id: "l-1", text: "Bread", quantity: 1 },
      { action: "add_item", list_id: "l-1", text: "Butter", quantity: 1 },
    ]);
    assert.equal(await page.frame.getByLabel("Add an item").evaluate((field) => field === document.activeElement), true);
  });
});

test("lists: ticks, changes and removes an item", async () => {
  await showingFixture(NAME, { answer: answer(view.lists) }, async (page) => {
    await page.role("checkbox", /^Milk/).click();
    await until(() => page.calls.length === 1, "the tick");
    await page.role("button", "One more of Milk, 2 %").click();
    await until(() => page.calls.length === 2, "the quantity");
    await page.role("button", "Remove Eggs").click();
    await until(() => page.calls.length === 3, "the removal");
    assert.deepEqual(argsOf(page), [
      { action: "update_item", list_id: "l-1", item_id: "i-1", checked: true },
      { action: "update_item", list_id: "l-1", item_id: "i-1", quantity: 3 },
      { action: "remove_item", list_id: "l-1", item_id: "i-3" },
    ]);
  });
});

test("lists: makes, opens, renames, sends and deletes a list", async () => {
  const made = [...view.lists, { list_id: "l-9", name: "Camping", items: [{ item_id: "i-9", text: "Beans", product_id: "1" }] }];
  await showingFixture(NAME, { answer: answer(made) }, async (page) => {
    await page.frame.getByLabel("New list").fill("Camping");
    await page.role("button", "Make the list").click();
    await page.frame.getByRole("heading", { name: "Camping" }).waitFor({ timeout: DEADLINE });
    await page.role("button", "Rename").click();
    await page.frame.getByLabel("Name of the list").fill("Tent");
    await page.role("button", "Save").click();
    await until(() => page.calls.length === 2, "the new name");
    await page.role("button", "Put into the cart").click();
    await until(() => page.calls.length === 3, "the cart");
    await page.role("button", "Delete this list").click();
    await page.role("button", "Yes, delete it").click();
    await until(() => page.calls.length === 4, "the deletion");
    assert.deepEqual(argsOf(page), [
      { action: "create", name: "Camping" },
      { action: "rename", list_id: "l-9", name: "Tent" },
      { action: "send_to_cart", list_id: "l-9" },
      { action: "delete", list_id: "l-9" },
    ]);
  });
});

test("lists: opens another list, and sends none that names no product", async () => {
  await showingFixture(NAME, {}, async (page) => {
    await page.role("button", /^Ein Fest/).click();
    await page.frame.getByText("The list is empty").waitFor({ timeout: DEADLINE });
    assert.equal(await page.role("button", "Put into the cart").getAttribute("aria-disabled"), "true");
    await page.role("button", "Put into the cart").click({ force: true });
    assert.deepEqual(page.calls, []);
  });
});

test("lists: asks for the prices of the store that the call was about", async () => {
  const input = { session_id: "s-1", location_id: "01400943" };
  await showingFixture(NAME, { input, answer: answer(view.lists) }, async (page) => {
    await page.role("button", "Refresh").click();
    await until(() => page.calls.length === 1, "the lists again");
    await page.role("checkbox", /^Milk/).click();
    await until(() => page.calls.length === 2, "the tick");
    assert.deepEqual(page.calls.map(({ args }) => args.location_id), ["01400943", "01400943"]);
  });
});

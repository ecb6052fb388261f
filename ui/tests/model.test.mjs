// What the model is told of what the person did in a page.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fixture, showingFixture } from "./common.mjs";
import { DEADLINE, until } from "./host/index.mjs";

const linesOf = (note) => note.content[0].text.split("\n").slice(1);

test("model: is told all that was done in the page, what was refused and what is not known, each time anew", async () => {
  const { view } = fixture("lists");
  const answers = [{ content: [], structuredContent: view }, { isError: true, content: [] }, { fails: "connection lost" }];
  await showingFixture("lists", { input: { session_id: "s-1", location_id: "01400943" }, answer: (_, { action }) => (action === "list" ? answers[0] : answers.shift()) }, async (page) => {
    await page.role("checkbox", /^Milk/).click();
    await until(() => page.notes.model.length === 1, "the tick");
    await page.role("button", "Remove Eggs").click();
    await until(() => page.notes.model.length === 2, "the refusal");
    await page.role("button", "Refresh").click();
    await until(() => page.calls.length === 3, "a question");
    await page.frame.getByLabel("Add an item").fill('Bread\t"brown"');
    await page.page.keyboard.press("Enter");
    await until(() => page.notes.model.length === 3, "what is not known");
    assert.deepEqual(linesOf(page.notes.model[2]), [
      '- shopping_lists update_item list_id="l-1" item_id="i-1" checked=true: done',
      '- shopping_lists remove_item list_id="l-1" item_id="i-3": not done',
      '- shopping_lists add_item list_id="l-1" text="Bread\\t\\"brown\\"" quantity=1: not known whether done',
    ]);
  });
});

test("model: is told the last twenty things, in few words", async () => {
  const list = { list_id: "l-1", name: "Week", items: [] };
  await showingFixture("lists", { view: { lists: [list] }, answer: () => ({ content: [], structuredContent: { lists: [list] } }) }, async (page) => {
    const field = page.frame.getByLabel("Add an item");
    await field.focus();
    for (let item = 1; item <= 23; item += 1) {
      await page.page.keyboard.insertText(item === 23 ? "long ".repeat(38) : `thing ${item}`);
      await page.page.keyboard.press("Enter");
    }
    await until(() => page.notes.model.length === 23, "all");
    const lines = linesOf(page.notes.model[22]);
    assert.equal(lines.length, 21);
    assert.equal(lines[0], "- (3 earlier ones)");
    assert.match(lines[1], /thing 4/);
    assert.match(lines[20], /^- shopping_lists add_item list_id="l-1" text="long .{50,80}… quantity=1: done$/);
  });
});

test("model: is not told what was typed into a form with a secret", async () => {
  await showingFixture("form", {}, async (page) => {
    await page.frame.getByLabel("Name").fill("Jam");
    await page.frame.getByLabel("Unit").selectOption("litre");
    await page.frame.getByLabel("PIN").fill("0042");
    await page.frame.getByLabel("PIN").press("Enter");
    await until(() => page.notes.model.length === 1, "the call");
    assert.deepEqual(linesOf(page.notes.model[0]), ["- create_product: done"]);
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { common, fixture, idle, showingFixture } from "./common.mjs";
import { DEADLINE, until } from "./host/index.mjs";

const NAME = "lists";
const { view } = fixture(NAME);
const argsOf = (page) => page.calls.map(({ args: { session_id: _, ...args } }) => args);

/** The lists as the server keeps them: what concerns one list is answered with that list alone, a deletion with those that are left. */
function kept(start) {
  const lists = structuredClone(start).map((list) => ({ items: [], ...list }));
  const item = { rename: (list, { name }) => (list.name = name), add_item: (list, { text, quantity }) => list.items.push({ item_id: `i-${text}`, text, quantity, checked: false }) };
  item.update_item = (list, { item_id, action: _, list_id: _l, session_id: _s, location_id: _p, ...change }) => Object.assign(list.items.find((one) => one.item_id === item_id), change);
  item.remove_item = (list, { item_id }) => (list.items = list.items.filter((one) => one.item_id !== item_id));
  item.send_to_cart = (list) => list.items.filter((one) => one.product_id).forEach((one) => (one.checked = true));
  return (_, args) => {
    const id = args.action === "create" ? `l-${args.name}` : args.list_id;
    if (args.action === "create") lists.push({ list_id: id, name: args.name, items: [] });
    else if (args.action === "delete") lists.splice(lists.findIndex((list) => list.list_id === id), 1);
    else item[args.action]?.(lists.find((list) => list.list_id === id), args);
    const told = args.action === "delete" ? lists : lists.filter((list) => id === undefined || list.list_id === id);
    return { content: [], structuredContent: structuredClone({ lists: told, notes: [] }) };
  };
}

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
  await showingFixture(NAME, { answer: kept(view.lists) }, async (page) => {
    await page.tabTo("textbox", "Add an item");
    for (const word of ["Bread", "Butter"]) {
      await page.page.keyboard.type(word);
      await page.page.keyboard.press("Enter");
      await until(async () => (await page.frame.getByLabel("Add an item").inputValue()) === "", `${word} is added`);
    }
    // The field is free at once, and the second waits for the first.
    await until(() => page.calls.length === 2, "both are sent");
    assert.deepEqual(argsOf(page), [
      { action: "add_item", list_id: "l-1", text: "Bread", quantity: 1 },
      { action: "add_item", list_id: "l-1", text: "Butter", quantity: 1 },
    ]);
    assert.equal(await page.frame.getByLabel("Add an item").evaluate((field) => field === document.activeElement), true);
  });
});

test("lists: ticks, changes and removes an item", async () => {
  await showingFixture(NAME, { answer: kept(view.lists) }, async (page) => {
    await page.role("checkbox", /^Milk/).click();
    await until(() => page.calls.length === 1, "the tick");
    await idle(page);
    await page.role("button", "One more of Milk, 2 %").click();
    await until(() => page.calls.length === 2, "the quantity");
    await idle(page);
    await page.role("button", "Remove Eggs").click();
    await until(() => page.calls.length === 3, "the removal");
    await idle(page);
    assert.deepEqual(argsOf(page), [
      { action: "update_item", list_id: "l-1", item_id: "i-1", checked: true },
      { action: "update_item", list_id: "l-1", item_id: "i-1", quantity: 3 },
      { action: "remove_item", list_id: "l-1", item_id: "i-3" },
    ]);
  });
});

const names = (page) => page.frame.locator(".name > span:first-child").allInnerTexts();

test("lists: a change of one list leaves the others where they are, and what is there is taken whole from a refresh and a deletion", async () => {
  const [week, party] = view.lists;
  const lists = kept([week, party, { list_id: "l-3", name: "Garden", items: [{ item_id: "i-8", text: "Seeds", quantity: 1 }] }]);
  await showingFixture(NAME, { view: { lists: [week, party] }, answer: lists }, async (page) => {
    await page.role("checkbox", /^Milk/).click();
    await until(() => page.calls.length === 1, "the tick");
    await page.frame.getByText("2/").first().waitFor({ timeout: DEADLINE });
    assert.deepEqual(await names(page), ["Week", party.name]);
    await page.role("button", "Refresh").click();
    await until(async () => (await names(page)).length === 3, "the one that another device made");
    await page.role("button", /^Garden/).click();
    await page.role("button", "Remove Seeds").click();
    await page.frame.getByText("The list is empty").waitFor({ timeout: DEADLINE });
    assert.deepEqual(await names(page), ["Week", party.name, "Garden"]);
    lists("", { action: "delete", list_id: week.list_id });
    await page.role("button", "Delete this list").click();
    await page.role("button", "Yes, delete it").click();
    await until(async () => (await names(page)).join() === party.name, "those that are left");
  });
});

test("lists: makes, opens, renames, sends and deletes a list", async () => {
  await showingFixture(NAME, { answer: kept(view.lists) }, async (page) => {
    await page.frame.getByLabel("New list").fill("Camping");
    await page.role("button", "Make the list").click();
    await page.frame.getByRole("heading", { name: "Camping" }).waitFor({ timeout: DEADLINE });
    await page.role("button", "Rename").click();
    await page.frame.getByLabel("Name of the list").fill("Tent");
    await page.role("button", "Save").click();
    await page.frame.getByRole("heading", { name: "Tent" }).waitFor({ timeout: DEADLINE });
    await page.role("button", /^Week/).click();
    await page.role("button", "Put into the cart").click();
    await until(() => page.calls.length === 3, "the cart");
    await idle(page);
    await page.role("button", "Delete this list").click();
    await page.role("button", "Yes, delete it").click();
    await until(() => page.calls.length === 4, "the deletion");
    await idle(page);
    assert.deepEqual(argsOf(page), [
      { action: "create", name: "Camping" },
      { action: "rename", list_id: "l-Camping", name: "Tent" },
      { action: "send_to_cart", list_id: "l-1" },
      { action: "delete", list_id: "l-1" },
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

/** Answers each call when it is told to. */
function holding(answer) {
  const held = [];
  const waits = (tool, args) => new Promise((resolve) => held.push({ args, go: (given = answer(tool, args)) => resolve(given) }));
  return { held, answer: waits };
}

const MILK = "Milk, 2 %";
const quantity = (page) => page.frame.getByRole("textbox", { name: `Quantity of ${MILK}` }).inputValue();
const refused = { isError: true, content: [{ type: "text", text: "At most 2." }] };

test("lists: what is wished for while an item is changed is shown and waits, and the last wish is sent", async () => {
  const { held, answer } = holding(kept(view.lists));
  await showingFixture(NAME, { answer }, async (page) => {
    await page.role("checkbox", /^Milk/).click();
    await until(() => held.length === 1, "the tick");
    for (const wanted of ["3", "4"]) {
      await page.role("button", `One more of ${MILK}`).click();
      await until(async () => (await quantity(page)) === wanted, wanted);
    }
    await page.role("checkbox", /^Milk/).click();
    held[0].go();
    await until(() => held.length === 2, "the next wish");
    assert.equal(await quantity(page), "4", "as it is wished");
    held[1].go();
    await until(() => held.length === 3, "the last");
    held[2].go();
    await until(async () => (await page.frame.locator(".item").first().getAttribute("aria-busy")) === "false", "the end");
    assert.deepEqual(argsOf(page).map(({ quantity, checked }) => quantity ?? checked).sort(), [4, false, true]);
    assert.equal(await quantity(page), "4");
    assert.equal(await page.role("checkbox", /^Milk/).isChecked(), false);
  });
});

/** Presses buttons one after the other, faster than anything is sent. */
const pressing = (page, ...names) =>
  page.frame.evaluate(async (names) => {
    for (const name of names) {
      [...document.querySelectorAll("button")].find((button) => (button.getAttribute("aria-label") ?? button.innerText) === name).click();
      await null;
    }
  }, names);

test("lists: goes into the cart as it is shown, once each of its items is", async () => {
  const { held, answer } = holding(kept(view.lists));
  await showingFixture(NAME, { answer }, async (page) => {
    await pressing(page, `One more of ${MILK}`, `One more of ${MILK}`, "Put into the cart");
    await until(() => held.length === 1, "the quantity");
    assert.equal(await page.role("button", "Put into the cart").getAttribute("aria-busy"), "true");
    held[0].go();
    await until(() => held.length === 2, "the cart");
    assert.deepEqual(argsOf(page), [
      { action: "update_item", list_id: "l-1", item_id: "i-1", quantity: 4 },
      { action: "send_to_cart", list_id: "l-1" },
    ]);
  });
});

test("lists: does not go into the cart where a quantity was refused", async () => {
  await showingFixture(NAME, { answer: () => refused }, async (page) => {
    await pressing(page, `One more of ${MILK}`, "Put into the cart");
    await page.frame.getByText("It is not certain that a change before it was done.").first().waitFor({ timeout: DEADLINE });
    assert.match(await page.text(), /At most 2\./);
    assert.deepEqual(argsOf(page).map(({ action }) => action), ["update_item"]);
    assert.equal(await quantity(page), "2", "what the server has");
  });
});

test("lists: a quantity is sent although another list is opened, or the page is closed, at once", async () => {
  const open = (page) => page.frame.evaluate(() => document.querySelectorAll(".name")[1].click());
  for (const leave of [open, (page) => page.host("close")]) {
    await showingFixture(NAME, { answer: kept(view.lists) }, async (page) => {
      await pressing(page, `One more of ${MILK}`);
      await leave(page);
      await until(() => page.calls.length === 1, "the quantity");
      assert.deepEqual(argsOf(page), [{ action: "update_item", list_id: "l-1", item_id: "i-1", quantity: 3 }]);
    });
  }
});

test("lists: what is typed while something is added or made is not erased, and is added too", async () => {
  const { held, answer } = holding(kept(view.lists));
  await showingFixture(NAME, { answer }, async (page) => {
    for (const [label, first, second] of [["Add an item", "Bread", "Butter"], ["New list", "Camping", "Garden"]]) {
      const field = page.frame.getByLabel(label);
      const calls = held.length;
      await field.fill(first);
      await field.press("Enter");
      await until(async () => (await field.inputValue()) === "", "cleared at once");
      await field.fill(second);
      await field.press("Enter");
      await field.fill("third");
      held[calls].go();
      await until(() => held.length === calls + 2, "the second");
      held[calls + 1].go();
      await page.frame.getByText(second).first().waitFor({ timeout: DEADLINE });
      assert.equal(await field.inputValue(), "third");
    }
    assert.deepEqual(argsOf(page).map(({ text, name }) => text ?? name), ["Bread", "Butter", "Camping", "Garden"]);
    await page.frame.getByRole("heading", { name: "Garden" }).waitFor({ timeout: DEADLINE });
  });
});

test("lists: what could not be added is put back into its field, unless something else stands there by then", async () => {
  const { held, answer } = holding(() => refused);
  await showingFixture(NAME, { answer }, async (page) => {
    for (const [label, after, left] of [["Add an item", "", "Bread"], ["Add an item", "Tea", "Tea"], ["New list", "", "Bread"], ["New list", "Tea", "Tea"]]) {
      const field = page.frame.getByLabel(label);
      const calls = held.length;
      await field.fill("Bread");
      await field.press("Enter");
      await until(() => held.length === calls + 1, "the call");
      await field.fill(after);
      held[calls].go();
      await until(async () => (await page.frame.locator(".notice.danger").count()) > 0, "the refusal");
      await until(async () => (await field.inputValue()) === left, left);
    }
  });
});

test("lists: a name that is changed while the one before is saved stays to be saved", async () => {
  const { held, answer } = holding(kept(view.lists));
  await showingFixture(NAME, { answer }, async (page) => {
    await page.role("button", "Rename").click();
    await page.frame.getByLabel("Name of the list").fill("Tent");
    await page.role("button", "Save").click();
    await until(() => held.length === 1, "the call");
    await page.frame.getByLabel("Name of the list").fill("Big tent");
    held[0].go();
    await page.role("button", /^Tent/).waitFor({ timeout: DEADLINE });
    assert.equal(await page.frame.getByLabel("Name of the list").inputValue(), "Big tent");
  });
});

test("lists: asks for the prices of the store that the call was about", async () => {
  const input = { session_id: "s-1", location_id: "01400943" };
  await showingFixture(NAME, { input, answer: kept(view.lists) }, async (page) => {
    await page.role("button", "Refresh").click();
    await until(() => page.calls.length === 1, "the lists again");
    await page.role("checkbox", /^Milk/).click();
    await until(() => page.calls.length === 2, "the tick");
    assert.deepEqual(page.calls.map(({ args }) => args.location_id), ["01400943", "01400943"]);
  });
});

/** A door that calls wait at until it is opened. */
function door() {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  return { open, opened };
}

test("lists: what failed is told although something after it was done, with its name", async () => {
  const { open, opened } = door();
  const answer = async (_, { text }) => {
    await opened;
    return text === "Milk" ? { isError: true, content: [{ type: "text", text: "The list is full." }] } : { content: [], structuredContent: view };
  };
  await showingFixture(NAME, { answer }, async (page) => {
    await page.tabTo("textbox", "Add an item");
    for (const word of ["Milk", "Eggs"]) {
      await page.page.keyboard.type(word);
      await page.page.keyboard.press("Enter");
    }
    await page.page.keyboard.type("Br");
    open();
    await until(() => page.calls.length === 2, "both are sent");
    await page.frame.getByText("Milk: Not done. The list is full.").first().waitFor({ timeout: DEADLINE });
    assert.equal(await page.frame.getByLabel("Add an item").inputValue(), "Br");
  });
});

test("lists: a wish to go back is sent where nobody knows what became of the one before", async () => {
  const { open, opened } = door();
  let number = 0;
  const answer = async () => {
    if (++number > 1) return { content: [], structuredContent: view };
    await opened;
    return { fails: "No answer.", code: -32001, data: { class: "unknown_outcome" } };
  };
  await showingFixture(NAME, { answer }, async (page) => {
    const item = view.lists[0].items[0];
    const box = page.frame.getByRole("checkbox", { name: item.text }).first();
    await box.click();
    await until(() => page.calls.length === 1, "the first wish is sent");
    await box.click();
    open();
    const changes = () => page.calls.filter(({ args }) => args.action === "update_item").map(({ args }) => args.checked);
    await until(() => changes().length === 2, "so is the second");
    assert.deepEqual(changes(), [!item.checked, item.checked]);
  });
});

test("lists: what goes wrong with another list keeps none from the cart", async () => {
  const { open, opened } = door();
  const answer = async (_, { action }) => {
    if (action !== "create") return { content: [], structuredContent: view };
    await opened;
    return { isError: true, content: [{ type: "text", text: "No more lists." }] };
  };
  await showingFixture(NAME, { answer }, async (page) => {
    await page.frame.getByLabel("New list").first().fill("Party");
    await page.frame.getByLabel("New list").first().press("Enter");
    await until(() => page.calls.length === 1, "a list is being made");
    await page.role("button", "Put into the cart").click();
    open();
    await until(() => page.calls.some(({ args }) => args.action === "send_to_cart"), "it is sent");
  });
});

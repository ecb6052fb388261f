// The focus stays near when what has it goes, and goes to what opens. All of it by keyboard.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fixture, focusIs, showingFixture } from "./common.mjs";
import { DEADLINE, until } from "./host/index.mjs";

const MILK = "Kroger® 2% Reduced Fat Milk";
const answering = (view) => ({ answer: () => ({ content: [], structuredContent: view }) });

/** Tabs to a button and presses it. */
async function press(page, name) {
  await page.tabTo("button", name);
  await page.page.keyboard.press("Enter");
}

test("focus: when an item of the cart goes it moves to the next one, else to the one before, else to the heading", async () => {
  const { view } = fixture("cart");
  let { items } = view;
  const answer = (_, { product_id }) => {
    items = items.filter((item) => item.product_id !== product_id);
    return { content: [], structuredContent: { ...view, items } };
  };
  await showingFixture("cart", { answer, view: { ...view, items: items.slice(0, 3) } }, async (page) => {
    items = items.slice(0, 3);
    await press(page, `Remove ${MILK}`);
    await focusIs(page, "One less of Simple Truth");
    await press(page, "Remove Crème fraîche");
    await focusIs(page, "Remove Simple Truth");
    await page.page.keyboard.press("Enter");
    await focusIs(page, "Cart");
    assert.equal(await page.frame.evaluate(() => document.activeElement.localName), "h1");
    assert.deepEqual(await page.axe(), []);
  });
});

test("focus: when the cart is emptied it stays beside the button that asked", async () => {
  const { view } = fixture("cart");
  await showingFixture("cart", answering({ ...view, items: [] }), async (page) => {
    await press(page, "Empty this list");
    await press(page, "Yes, empty it");
    await page.frame.getByText("Nothing is in the cart").waitFor({ timeout: DEADLINE });
    await focusIs(page, "Open the cart at Kroger");
  });
});

test("focus: when an item of a list goes it moves to the next one, and to the name of the list when none is left", async () => {
  const [week, feast] = fixture("lists").view.lists;
  let items = week.items.slice(0, 2);
  const lists = () => ({ lists: [{ ...week, items }, feast] });
  const answer = (_, { item_id }) => {
    items = items.filter((item) => item.item_id !== item_id);
    return { content: [], structuredContent: lists() };
  };
  await showingFixture("lists", { answer, view: lists() }, async (page) => {
    await press(page, "Remove Milk");
    await focusIs(page, "Something for Grandma");
    await press(page, "Remove Something");
    await focusIs(page, "Week");
    assert.equal(await page.frame.evaluate(() => document.activeElement.localName), "h2");
  });
});

test("focus: when a list is deleted it moves to the list that opens, or to where a new one is made", async () => {
  const { view } = fixture("lists");
  let lists = view.lists.slice(0, 2);
  const answer = (_, { list_id }) => {
    lists = lists.filter((list) => list.list_id !== list_id);
    return { content: [], structuredContent: { lists } };
  };
  await showingFixture("lists", { answer, view: { lists } }, async (page) => {
    for (const focus of ["Rename", "Make the list"]) {
      await press(page, "Delete this list");
      await press(page, "Yes, delete it");
      await focusIs(page, focus);
    }
  });
});

test("focus: the field of a new name takes it, and gives it back when it closes", async () => {
  await showingFixture("lists", answering(fixture("lists").view), async (page) => {
    await press(page, "Rename");
    await focusIs(page, "Name of the list");
    await press(page, "Cancel");
    await focusIs(page, "Rename");
    await page.page.keyboard.press("Enter");
    await focusIs(page, "Name of the list");
    await page.page.keyboard.type("!");
    await page.page.keyboard.press("Enter");
    await focusIs(page, "Rename");
    assert.equal(page.calls.length, 1);
  });
});

test("focus: the lists to save a product on take it, and give it back when they close", async () => {
  const lists = { lists: [{ list_id: "l1", name: "Week" }, { list_id: "l2", name: "Party" }] };
  await showingFixture("product-grid", answering(lists), async (page) => {
    for (const close of ["Cancel", /^Save$/]) {
      await press(page, `Save to a list: ${MILK}`);
      await focusIs(page, "List");
      await press(page, close);
      await focusIs(page, `Save to a list: ${MILK}`);
    }
  });
});

test("focus: where there is no list to save on it stays with the product, and that is said", async () => {
  await showingFixture("product-grid", answering({ lists: [] }), async (page) => {
    await press(page, `Save to a list: ${MILK}`);
    await focusIs(page, `Add to cart: ${MILK}`);
    await until(async () => /no list yet/.test(await page.frame.getByRole("status").innerText()), "it is said");
  });
});

test("focus: when a coupon is clipped it moves to the next to clip, and after the last to the one before", async () => {
  await showingFixture("coupons", {}, async (page) => {
    await press(page, "Clip: $1 off Kroger® cheese");
    await focusIs(page, "Clip: Ein Gutschein");
    await press(page, "Clip: Coupon without a name");
    await focusIs(page, "Clip: Ein Gutschein");
    await page.page.keyboard.press("Enter");
    await focusIs(page, "Coupons");
    assert.equal(await page.frame.evaluate(() => document.activeElement.localName), "h2");
  });
});

test("focus: when an order is forgotten it moves to the next one, else to the one before", async () => {
  const { view } = fixture("orders");
  let orders = ["2026-11-20", "2026-11-13", "2026-11-06"].map((day, index) => ({ order_id: `o-${index}`, placed_at: `${day}T18:30:00Z`, items: [] }));
  const answer = (_, { order_id }) => {
    orders = orders.filter((order) => order.order_id !== order_id);
    return { content: [], structuredContent: { ...view, orders, total: orders.length } };
  };
  await showingFixture("orders", { answer, view: { ...view, orders } }, async (page) => {
    for (const [day, focus] of [["Nov 20", "Into the cart again: Nov 13"], ["Nov 6", "Forget: Nov 13"]]) {
      await press(page, new RegExp(`^Forget: ${day}`));
      await press(page, "Yes, forget it");
      await focusIs(page, focus);
    }
  });
});

test("focus: when no older orders are left to show it moves to the first that was shown", async () => {
  const { view } = fixture("orders");
  const orders = Array.from({ length: 25 }, (_, index) => ({ order_id: `o-${index}`, placed_at: `2026-10-${25 - index}T12:00:00Z`.replace(/-(\d)T/, "-0$1T"), items: [] }));
  await showingFixture("orders", { view: { ...view, orders, total: 25 } }, async (page) => {
    await press(page, "Older ones");
    await focusIs(page, "Into the cart again: Oct 5");
  });
});

const planned = () => {
  const meals = ["Soup", "Pasta"].map((title) => ({ meal_id: title, slot: "dinner", title, ingredients: [] }));
  return { week: "2026-W48", starts_on: "2026-11-23", days: [{ date: "2026-11-24", meals }] };
};

test("focus: a meal that is opened from another one takes it, and gives it back to its own card", async () => {
  await showingFixture("planner", { view: planned() }, async (page) => {
    for (const meal of ["Soup", "Pasta"]) {
      await press(page, new RegExp(meal));
      await focusIs(page, "Meal");
      await page.frame.getByRole("heading", { name: meal }).waitFor({ timeout: DEADLINE });
    }
    await press(page, "Close");
    await focusIs(page, "Pasta");
    assert.equal(await page.frame.locator("section[aria-label=Meal]").count(), 0);
  });
});

test("focus: when a meal is removed it moves to the other one of the day, and after the last to where one is added", async () => {
  const view = planned();
  let [{ meals }] = view.days;
  const answer = (_, { meal_id }) => {
    meals = meals.filter((meal) => meal.meal_id !== meal_id);
    return { content: [], structuredContent: { ...view, days: [{ ...view.days[0], meals }] } };
  };
  await showingFixture("planner", { answer, view }, async (page) => {
    for (const [meal, focus] of [["Soup", "Pasta"], ["Pasta", "Add a meal: Tue, Nov 24"]]) {
      await press(page, new RegExp(meal));
      await press(page, "Remove the meal");
      await press(page, "Yes, remove it");
      await focusIs(page, focus);
    }
  });
});

test("focus: what closes while a person is elsewhere does not call it back", async () => {
  const view = planned();
  const next = { week: "2026-W49", starts_on: "2026-11-30", days: [] };
  await showingFixture("planner", { view, ...answering(next) }, async (page) => {
    await press(page, /Soup/);
    await focusIs(page, "Meal");
    await press(page, "The week after");
    await page.frame.getByText("Nov 30, 2026").waitFor({ timeout: DEADLINE });
    await focusIs(page, "The week after");
  });
});

test("focus: a page that has it not takes none of the host's", async () => {
  const { view } = fixture("cart");
  await showingFixture("cart", {}, async (page) => {
    await page.tabTo("button", `Remove ${MILK}`);
    await page.page.evaluate(() => {
      document.body.append(Object.assign(document.createElement("button"), { id: "own" }));
      document.getElementById("own").focus();
    });
    await page.show({ ...view, items: view.items.slice(1) });
    await until(async () => (await page.frame.locator(".item").count()) === 3, "the row is gone");
    assert.equal(await page.page.evaluate(() => document.activeElement.id), "own");
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { common, fixture, showingFixture } from "./common.mjs";
import { DEADLINE, until } from "./host/index.mjs";

const NAME = "cart";
const { view } = fixture(NAME);
const MILK = "Kroger® 2% Reduced Fat Milk";
const answer = (items) => () => ({ content: [], structuredContent: { ...view, items } });

common(NAME, {
  title: "cart.title",
  shown: /Reduced Fat Milk/,
  empty: { source: "local", items: [], item_count: 0, notes: [], signed_in: true },
  change: [
    { action: "add", product_id: "0001111041700", quantity: 2, session_id: "s-1", location_id: "01400943" },
    { action: "view", session_id: "s-1", location_id: "01400943" },
  ],
});

test("cart: many presses on a quantity are one call, with the last", async () => {
  const changed = [{ ...view.items[0], quantity: 5, line_total: 13.95 }];
  await showingFixture(NAME, { answer: answer(changed) }, async (page) => {
    await page.role("button", `One more of ${MILK}`).evaluate(async (button) => {
      for (let press = 0; press < 3; press += 1) {
        button.click();
        await null;
      }
    });
    await page.frame.getByText("$13.95").waitFor({ timeout: DEADLINE });
    assert.deepEqual(page.calls, [{ tool: "manage_cart", args: { session_id: "s-1", action: "update", product_id: "0001111041700", modality: "PICKUP", quantity: 5 } }]);
  });
});

test("cart: removes with the keyboard, and shows what the server answers", async () => {
  await showingFixture(NAME, { answer: answer(view.items.slice(1)) }, async (page) => {
    await page.tabTo("button", `Remove ${MILK}`);
    await page.page.keyboard.press("Enter");
    await until(async () => (await page.frame.locator(".item").count()) === 3, "the row is gone");
    assert.deepEqual(page.calls[0].args, { session_id: "s-1", action: "remove", product_id: "0001111041700", modality: "PICKUP" });
    assert.match(await page.frame.getByRole("status").innerText(), /Taken off the list here: .*It may still be in your cart at Kroger/);
  });
});

test("cart: a refused quantity goes back to what it was", async () => {
  const refuse = () => ({ isError: true, content: [{ type: "text", text: "At most 3." }] });
  await showingFixture(NAME, { answer: refuse }, async (page) => {
    const field = page.frame.getByRole("textbox", { name: `Quantity of ${MILK}` });
    await field.fill("7");
    await field.press("Enter");
    await page.frame.getByText("Not done. At most 3.").first().waitFor({ timeout: DEADLINE });
    await until(async () => (await field.inputValue()) === "2", "the old quantity");
  });
});

test("cart: a quantity that is emptied, or no whole number from 1 on, goes back to what it was and is not sent", async () => {
  const changed = [{ ...view.items[0], quantity: 4 }];
  await showingFixture(NAME, { answer: answer(changed) }, async (page) => {
    const field = page.frame.getByRole("textbox", { name: `Quantity of ${MILK}` });
    const fewer = page.role("button", `One less of ${MILK}`);
    for (const words of ["", "  ", "0", "-3", "1.5", "abc"]) {
      for (const leave of ["Enter", "Tab"]) {
        await field.fill(words);
        await field.press(leave);
        await until(async () => (await field.inputValue()) === "2", `“${words}” goes back`);
        assert.equal(await fewer.getAttribute("aria-disabled"), null, "and it is still two");
      }
    }
    await field.fill("4");
    await field.press("Enter");
    await until(() => page.calls.length === 1, "the call");
    assert.equal(page.calls[0].args.quantity, 4);
  });
});

test("cart: is emptied only when asked twice", async () => {
  await showingFixture(NAME, { answer: answer([]) }, async (page) => {
    await page.role("button", "Empty this list").click();
    await page.page.keyboard.press("Escape");
    assert.equal(await page.role("button", "Empty this list").evaluate((button) => button === document.activeElement), true);
    assert.deepEqual(page.calls, []);
    await page.role("button", "Empty this list").click();
    await page.role("button", "Yes, empty it").click();
    await page.frame.getByText("Nothing is in the cart").waitFor({ timeout: DEADLINE });
    assert.deepEqual(page.calls[0].args, { session_id: "s-1", action: "clear" });
  });
});

test("cart: opens Kroger's own through the host", async () => {
  await showingFixture(NAME, {}, async (page) => {
    await page.role("button", "Open the cart at Kroger").click();
    await until(() => page.notes.link.length === 1, "the link");
    assert.deepEqual(page.notes.link, ["https://www.kroger.com/cart"]);
  });
});

test("cart: says of which products it is not known whether they were taken", async () => {
  await showingFixture(NAME, {}, async (page) => {
    assert.equal(await page.frame.locator(".item .badge.warning").count(), 1);
    assert.match(await page.text(), /Look into the cart at Kroger/);
  });
});

const inTwoWays = () => {
  const line = (modality, quantity, state) => ({ ...view.items[0], modality, quantity, state, line_total: quantity * 2.79 });
  return { ...view, items: [line("PICKUP", 2, "sent"), line("PICKUP", 1, "unknown"), line("DELIVERY", 1, "sent")], item_count: 4 };
};

test("cart: of a product in two ways each has a row, with what is not known within it, and only the row that is meant is changed", async () => {
  const [sent, unknown, delivery] = inTwoWays().items;
  await showingFixture(NAME, { view: inTwoWays(), answer: answer([sent, unknown, { ...delivery, quantity: 2 }]) }, async (page) => {
    assert.equal(await page.frame.locator(".item").count(), 2);
    const pickup = page.frame.locator(".item").first();
    assert.match(await pickup.innerText(), /Not known of 1 of them/);
    assert.match(await pickup.innerText(), /\$8\.37/);
    assert.deepEqual(await page.axe(), []);
    const args = { session_id: "s-1", product_id: "0001111041700", modality: "DELIVERY" };
    await page.role("button", `One more of ${MILK}, Delivery`).click();
    await until(() => page.calls.length === 1, "one more");
    assert.deepEqual(page.calls[0].args, { ...args, action: "update", quantity: 5 }, "of four in all");
    await until(async () => (await page.frame.getByRole("textbox", { name: `Quantity of ${MILK}, Delivery` }).inputValue()) === "2", "as it was typed");
    await page.role("button", `Remove ${MILK}, Delivery`).click();
    await until(() => page.calls.length === 2, "the removal");
    assert.deepEqual(page.calls[1].args, { ...args, action: "remove" });
  });
});

test("cart: while one row of a product is being changed the other waits", async () => {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await showingFixture(NAME, { view: inTwoWays(), answer: () => held }, async (page) => {
    const delivery = page.frame.getByRole("textbox", { name: `Quantity of ${MILK}, Delivery` });
    await delivery.fill("3");
    // At once, or a busy machine sends the quantity before the button is pressed.
    await page.frame.evaluate((name) => {
      document.activeElement.blur();
      document.querySelector(`button[aria-label="${name}"]`).click();
    }, `Remove ${MILK}, Pickup`);
    await until(() => page.calls.length === 1, "the removal");
    assert.equal(await delivery.inputValue(), "3", "what is wished for");
    release(answer(inTwoWays().items.slice(2))());
    await until(() => page.calls.length === 2, "the quantity");
    assert.equal(await page.frame.locator(".item").count(), 1, "the row is gone");
    assert.deepEqual(page.calls[1].args, { session_id: "s-1", action: "update", product_id: "0001111041700", modality: "DELIVERY", quantity: 3 }, "by what there is by then");
  });
});

test("cart: what is wished for while it is changed, emptied or closed is neither lost nor done too late", async () => {
  const held = [];
  const wait = () => new Promise((resolve) => held.push((items) => resolve(answer(items)())));
  const wish = async (page, wanted) => {
    await page.role("button", `One more of ${MILK}`).click();
    await until(async () => (await page.frame.getByRole("textbox", { name: `Quantity of ${MILK}` }).inputValue()) === wanted, wanted);
  };
  const told = (page) => page.calls.map(({ args }) => args.quantity ?? args.action);
  await showingFixture(NAME, { answer: wait }, async (page) => {
    await wish(page, "3");
    await until(() => held.length === 1, "the first quantity");
    await wish(page, "4");
    await page.role("button", "Empty this list").click();
    await page.role("button", "Yes, empty it").click();
    held[0]([{ ...view.items[0], quantity: 3 }]);
    await until(() => held.length === 2, "the second");
    held[1]([{ ...view.items[0], quantity: 4 }]);
    await until(() => held.length === 3, "the end of all");
    assert.deepEqual(told(page), [3, 4, "clear"]);
  });
  await showingFixture(NAME, { answer: wait }, async (page) => {
    await wish(page, "3");
    await page.host("close");
    await until(() => page.calls.length === 1, "the quantity");
    assert.deepEqual(told(page), [3]);
  });
});

test("cart: asks about the store that the call was about", async () => {
  const input = { session_id: "s-1", location_id: "01400943" };
  await showingFixture(NAME, { input, answer: answer(view.items) }, async (page) => {
    await page.role("button", "Refresh").click();
    await until(() => page.calls.length === 1, "the cart again");
    await page.role("button", `Remove ${MILK}`).click();
    await until(() => page.calls.length === 2, "the removal");
    await page.role("button", "Empty this list").click();
    await page.role("button", "Yes, empty it").click();
    await until(() => page.calls.length === 3, "the cart is emptied");
    assert.deepEqual(page.calls.map(({ args }) => args.location_id), Array(3).fill("01400943"));
  });
});

test("cart: says of which cart it speaks, in the language of the page, and what is taken out of which", async () => {
  const emptied = (source) => () => ({ content: [], structuredContent: { ...view, source, items: [] } });
  for (const [source, what, clear, done] of [
    ["local", "Was von hier hineingelegt wurde.", "Diese Liste leeren", "Dein Warenkorb bei Kroger ist, wie er war."],
    ["partner", "Der Warenkorb, wie Kroger ihn führt.", "Warenkorb leeren", "Der Warenkorb ist jetzt leer."],
  ]) {
    await showingFixture(NAME, { view: { ...view, source, label: "in English" }, locale: "de-DE", answer: emptied(source) }, async (page) => {
      assert.match(await page.text(), new RegExp(what));
      assert.doesNotMatch(await page.text(), /in English/);
      await page.role("button", clear).click();
      await page.role("button", /^Ja, /).click();
      await until(async () => (await page.frame.getByRole("status").innerText()).includes(done), `${source}: ${done}`);
    });
  }
});

test("cart: leads to the sign-in where nothing can be put in yet", async () => {
  const url = "https://shop.example/auth/login?link=abc";
  await showingFixture(NAME, { view: { ...view, signed_in: false, sign_in_url: url } }, async (page) => {
    assert.match(await page.text(), /To put things into your cart at Kroger, sign in there first/);
    assert.deepEqual(await page.axe(), []);
    await page.role("button", "Sign in").click();
    await until(() => page.notes.link.includes(url), "the host is asked to open it");
  });
  await showingFixture(NAME, { view: { ...view, signed_in: true, sign_in_url: url } }, async (page) => {
    assert.equal(await page.role("button", "Sign in").count(), 0);
  });
});

test("cart: what Kroger ships is shown as that and changed without a way of its own", async () => {
  const shipped = [{ ...view.items[0], modality: "SHIP" }];
  await showingFixture(NAME, { view: { ...view, source: "partner", items: shipped }, answer: answer([]) }, async (page) => {
    assert.match(await page.text(), /Shipping/);
    await page.role("button", `Remove ${MILK}`).click();
    await until(async () => page.calls.length > 0, "it is removed");
    assert.deepEqual(page.calls[0].args, { session_id: "s-1", action: "remove", product_id: "0001111041700" });
  });
});

test("cart: what Kroger ships beside another way of the product is left to Kroger's own cart", async () => {
  const both = [{ ...view.items[0], modality: "SHIP" }, { ...view.items[0], modality: "PICKUP" }];
  await showingFixture(NAME, { view: { ...view, source: "partner", items: both } }, async (page) => {
    const off = (name) => page.frame.getByRole("button", { name }).evaluate((button) => button.disabled || button.getAttribute("aria-disabled") === "true");
    assert.equal(await off(`Remove ${MILK}, Shipping`), true);
    assert.equal(await off(`Remove ${MILK}, Pickup`), false);
    assert.equal(await off(`One more of ${MILK}, Shipping`), true);
  });
});

// Where somebody has to sign in, the page leads there, whichever way the server says so.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fixture, showingFixture } from "./common.mjs";
import { DEADLINE, Opened, until } from "./host/index.mjs";

const URL = "https://portico.example/auth/login";
const data = { code: -32002, class: "authentication", sign_in_url: URL };
const content = [{ type: "text", text: "Sign in to add to a cart." }];
const result = (data) => ({ isError: true, content, _meta: { "portico.dev/error": data } });

const signsIn = async (page) => {
  assert.deepEqual(await page.axe(), []);
  await page.role("button", "Sign in").click();
  await until(() => page.notes.link.length === 1, "the link");
  assert.deepEqual(page.notes.link, [URL]);
};

for (const [how, answer] of [["a result", result(data)], ["an error", { fails: "Sign in to add to a cart.", code: -32002, data }]]) {
  test(`sign-in: an action that ${how} refuses for want of it leads there`, async () => {
    await showingFixture("product-grid", { width: 360, answer: () => answer }, async (page) => {
      await page.role("button", "Add to cart: Bananas").click();
      const notice = page.frame.locator(".act .notice.danger");
      await notice.waitFor({ timeout: DEADLINE });
      assert.match(await notice.innerText(), /Not done\. Sign in to add to a cart\.\s+Sign in/);
      await signsIn(page);
      assert.deepEqual(await page.overflow(), []);
    });
  });
}

test("sign-in: a page that has nothing to show without it leads there, and asks again afterwards", async () => {
  const { view, input } = fixture("orders");
  let answer = { fails: "Still not signed in.", code: -32002, data: { ...data, sign_in_url: "https://portico.example/auth/again" } };
  const page = await Opened.of("orders", { answer: () => answer });
  try {
    await page.host("input", input);
    await page.host("result", result(data));
    await page.frame.getByRole("alert").getByText("Sign in to add").waitFor({ timeout: DEADLINE });
    await signsIn(page);
    await page.role("button", "Try again").click();
    await page.frame.getByText("Still not").waitFor({ timeout: DEADLINE });
    await page.role("button", "Sign in").click();
    await until(() => page.notes.link.length === 2, "the newer link");
    assert.match(page.notes.link[1], /again$/);
    answer = { content: [], structuredContent: view };
    await page.role("button", "Try again").click();
    await page.frame.getByText("Nov 20, 2026").first().waitFor({ timeout: DEADLINE });
  } finally {
    await page.close();
  }
});

test("sign-in: there is no button for a link that is none, or for a failure of another kind", async () => {
  for (const wrong of [{ ...data, sign_in_url: "javascript:alert(1)" }, { ...data, sign_in_url: null }, { ...data, class: "refused" }]) {
    await showingFixture("product-grid", { answer: () => result(wrong) }, async (page) => {
      await page.role("button", "Add to cart: Bananas").click();
      await page.frame.locator(".act .notice.danger").waitFor({ timeout: DEADLINE });
      assert.equal(await page.role("button", "Sign in").count(), 0);
    });
  }
});

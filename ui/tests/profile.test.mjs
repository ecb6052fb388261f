import assert from "node:assert/strict";
import { test } from "node:test";
import { common, fixture, messages, showingFixture } from "./common.mjs";
import { DEADLINE, until } from "./host/index.mjs";

const NAME = "profile";
const { view } = fixture(NAME);
const answered = (change) => () => ({ content: [], structuredContent: { ...view, ...change } });

common(NAME, {
  title: "profile.title",
  shown: /On the Rhine/,
  empty: { signed_in: false, account: "absent", preferences: { diets: [], notices: {} }, devices: 0, loyalty: null, notes: [] },
  change: [
    { action: "delete", confirm: true, session_id: "s-1" },
    { action: "view", session_id: "s-1" },
  ],
});

test("profile: saves with the keyboard only what was changed", async () => {
  const preferences = { ...view.preferences, weekly_budget: 90, diets: ["vegetarian", "organic", "vegan"] };
  await showingFixture(NAME, { answer: answered({ preferences }) }, async (page) => {
    await page.tabTo("textbox", "Weekly budget");
    await page.page.keyboard.press("Control+A");
    await page.page.keyboard.type("90");
    await page.tabTo("checkbox", "Vegan");
    await page.page.keyboard.press("Space");
    await page.tabTo("button", "Save");
    await page.page.keyboard.press("Enter");
    await page.frame.locator(".notice.success").waitFor({ timeout: DEADLINE });
    assert.deepEqual(page.calls, [
      { tool: "user_profile", args: { session_id: "s-1", action: "update", preferences: { diets: ["vegetarian", "organic", "vegan"], weekly_budget: 90 } } },
    ]);
  });
});

test("profile: a budget with a sign between its thousands is not a thousandth of it", async () => {
  for (const [locale, begins, typed] of [["en-US", "120.5", "1,000"], ["de-DE", "120,5", "1.000"], ["fr-FR", "120,5", "1 000"]]) {
    await showingFixture(NAME, { locale, view: { ...view, preferences: { ...view.preferences, locale: null } }, answer: answered({}) }, async (page) => {
      const budget = page.frame.locator("input[inputmode=decimal]");
      assert.equal(await budget.inputValue(), begins);
      await budget.fill(typed);
      await budget.press("Enter");
      await until(() => page.calls.length === 1, "the call");
      assert.deepEqual(page.calls[0].args.preferences, { weekly_budget: 1000 }, locale);
    });
  }
});

test("profile: what is cleared is null, and notices are sent together", async () => {
  await showingFixture(NAME, { answer: answered({}) }, async (page) => {
    await page.frame.getByLabel("Weekly budget").fill("");
    await page.frame.getByLabel("How you get your groceries").selectOption("");
    await page.frame.getByLabel("Coupons that end soon").check();
    await page.role("button", "Save").click();
    await until(() => page.calls.length === 1, "the call");
    assert.deepEqual(page.calls[0].args.preferences, { weekly_budget: null, fulfillment: null, notices: { price_drops: true, coupons: true } });
  });
});

test("profile: says what is wrong at the field, and sends nothing", async () => {
  await showingFixture(NAME, {}, async (page) => {
    await page.frame.getByLabel("Weekly budget").fill("plenty");
    await page.frame.getByLabel("People in the household").fill("0");
    await page.role("button", "Save").click();
    await until(async () => (await page.frame.locator("[aria-invalid=true]").count()) === 2, "both fields are marked");
    assert.match(await page.text(), /A number from 0 to 10,000/);
    assert.deepEqual(page.calls, []);
    assert.deepEqual(await page.axe(), []);
  });
});

test("profile: hands over all data as a file, or shows it where the host takes none", async () => {
  const answer = answered({ data: { lists: ["näh"] } });
  await showingFixture(NAME, { answer }, async (page) => {
    await page.role("button", "Get a copy").click();
    await until(() => page.notes.file.length === 1, "the file");
    const { resource } = page.notes.file[0].contents[0];
    assert.deepEqual([resource.uri, resource.mimeType], ["file:///profile.json", "application/json"]);
    assert.deepEqual(JSON.parse(resource.text).data, { lists: ["näh"] });
    assert.deepEqual(page.calls[0].args, { session_id: "s-1", action: "export" });
  });
  await showingFixture(NAME, { answer, capabilities: { serverTools: {} } }, async (page) => {
    await page.role("button", "Get a copy").click();
    await page.frame.locator("pre").getByText("näh").waitFor({ timeout: DEADLINE });
    assert.deepEqual(await page.axe(), []);
  });
});

test("profile: deletes all only when asked twice, and then shows what is left", async () => {
  const gone = { signed_in: false, account: "absent", preferences: {}, devices: 0 };
  await showingFixture(NAME, { answer: (_, { action }) => ({ content: [], structuredContent: action === "view" ? gone : { deleted: 12 } }) }, async (page) => {
    await page.role("button", "Delete everything").click();
    assert.equal(await page.role("button", "No, keep it").evaluate((button) => button === document.activeElement), true, "the safe answer has the focus");
    assert.deepEqual(page.calls, []);
    await page.role("button", "Yes, delete everything").click();
    await page.frame.getByText("You are not signed in.").waitFor({ timeout: DEADLINE });
    assert.deepEqual(page.calls.map(({ args }) => args.action), ["delete", "view"]);
  });
});

test("profile: a language that is chosen is spoken at once", async () => {
  const preferences = { ...view.preferences, locale: "de" };
  const answer = () => ({ content: [], structuredContent: { ...view, preferences }, _meta: { "portico.dev/locale": "de" } });
  await showingFixture(NAME, { answer }, async (page) => {
    await page.frame.getByLabel("Language of messages").selectOption("de");
    await page.role("button", "Save").click();
    await page.frame.waitForFunction((title) => document.title === title, messages("de")["profile.title"], { timeout: DEADLINE });
    assert.deepEqual(page.calls[0].args.preferences, { locale: "de" });
  });
});

test("profile: what is changed while the profile is saved or read stays, and what was not changed is as the server has it", async () => {
  let answer;
  const held = () => new Promise((resolve) => (answer = (preferences) => resolve(answered({ preferences: { ...view.preferences, ...preferences } })())));
  await showingFixture(NAME, { answer: held }, async (page) => {
    const [budget, household] = [page.frame.getByLabel("Weekly budget"), page.frame.getByLabel("People in the household")];
    await budget.fill("90");
    await page.role("button", "Save").click();
    await until(() => page.calls.length === 1, "the first saving");
    await household.fill("5");
    // The server writes it in its own way, and another device has chosen a language.
    answer({ weekly_budget: 90.5, locale: "fr" });
    await until(async () => (await budget.inputValue()) === "90.5", "as it is kept");
    assert.equal(await household.inputValue(), "5");
    assert.equal(await page.frame.getByLabel("Language of messages").inputValue(), "fr");
    await page.role("button", "Refresh").click();
    await until(() => page.calls.length === 2, "the reading");
    answer({ weekly_budget: 80, locale: "fr" });
    await until(async () => (await budget.inputValue()) === "80", "as it is now");
    assert.equal(await household.inputValue(), "5");
    await page.role("button", "Save").click();
    await until(() => page.calls.length === 3, "the second saving");
    assert.deepEqual(page.calls.map(({ args }) => args.preferences), [{ weekly_budget: 90 }, undefined, { household_size: 5 }]);
  });
});

test("profile: what could not be saved stays to be saved", async () => {
  let answer = () => ({ isError: true, content: [{ type: "text", text: "Not now." }] });
  await showingFixture(NAME, { answer: (...args) => answer(...args) }, async (page) => {
    await page.frame.getByLabel("Weekly budget").fill("90");
    await page.role("button", "Save").click();
    await page.frame.locator(".notice.danger").waitFor({ timeout: DEADLINE });
    answer = answered({ preferences: { ...view.preferences, locale: "fr" } });
    await page.role("button", "Refresh").click();
    await until(async () => (await page.frame.getByLabel("Language of messages").inputValue()) === "fr", "what is new");
    assert.equal(await page.frame.getByLabel("Weekly budget").inputValue(), "90");
  });
});

test("profile: leads to the sign-in also where it is known who asks, but no Kroger account is linked", async () => {
  const { account: _, ...rest } = view;
  const unlinked = { ...rest, signed_in: true, account: "absent", sign_in_url: "https://portico.example/auth/login" };
  await showingFixture(NAME, { view: unlinked, answer: answered({ account: "linked" }) }, async (page) => {
    const text = await page.text();
    assert.match(text, /No Kroger account is linked/);
    assert.doesNotMatch(text, /You are not signed in/);
    await page.role("button", "Sign in").click();
    await until(() => page.notes.link.length === 1, "the link");
    await page.role("button", "I have signed in").click();
    await until(async () => (await page.role("button", "Sign in").count()) === 0, "signed in");
    assert.deepEqual(page.calls[0].args, { session_id: "s-1", action: "view" });
  });
  await showingFixture(NAME, { view: { ...unlinked, sign_in_url: undefined } }, async (page) => assert.equal(await page.role("button", "I have signed in").count(), 0));
});

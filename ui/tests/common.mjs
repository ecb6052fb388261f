// What every page must do, whatever it shows.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { LANGUAGES, read } from "../build.mjs";
import { DEADLINE, Opened, until } from "./host/index.mjs";

const LOCALES = { en: "en-US", es: "es-MX", fr: "fr-FR", de: "de-DE" };
const WIDTHS = [360, 768, 1280, 1600];
const SCREENSHOTS = process.env.PORTICO_SCREENSHOTS;
const HOSTILE = `<img src=x onerror="document.title='taken'"><script>document.title='taken'</script>"'><svg onload=alert(1)>`;

export const fixture = (name) => JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), "utf8"));
export const messages = (language) => JSON.parse(read(`locales/${language}.json`));

/** Every text of a view replaced by markup, every link by a script. Numbers and flags stay, so that all parts are shown. */
function hostile(value, key = "") {
  if (Array.isArray(value)) return value.map((item) => hostile(item, key));
  if (typeof value === "object" && value !== null) return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, hostile(item, name)]));
  if (typeof value !== "string") return value;
  if (/url|image/.test(key)) return "javascript:document.title='taken'";
  if (/_id$|^(state|type|slot|date|week|starts_on|stock_level|sold_by|source|modality|at|.*_at|key|name)$/.test(key)) return value.length < 40 && key !== "name" ? value : HOSTILE;
  return HOSTILE;
}

async function screenshot(opened, name) {
  if (!SCREENSHOTS) return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  await settled(opened);
  const { width } = opened.page.viewportSize();
  // What is outside of the window is not painted in frames of another origin.
  const height = await opened.frame.evaluate(() => innerHeight);
  await opened.page.setViewportSize({ width, height });
  await opened.frame.evaluate(() => new Promise((resolve) => {
    requestAnimationFrame(() => requestAnimationFrame(resolve));
    setTimeout(resolve, 1000); // Frames out of sight are not animated.
  }));
  await opened.page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
  await opened.page.setViewportSize({ width, height: 900 });
}

/** Until the host's frame is as high as the page. */
export async function settled(opened) {
  const height = () => opened.frame.evaluate(() => [Math.ceil(document.documentElement.getBoundingClientRect().height), innerHeight]);
  await until(async () => {
    const [page, frame] = await height();
    return page === frame;
  }, "the frame is as high as the page");
}

/** Until no call is under way. Of changes that overlap the page asks what came of them. */
export async function idle(opened) {
  await until(async () => (await opened.frame.locator("[aria-busy=true]").count()) === 0, "all calls are answered");
}

/** `shown`: a text that the fixture puts on the page; `empty`: a view without anything in it; `change`: arguments that change something, and the
 * question that is asked in their place. */
export function common(name, { shown, title, empty, expandAll, change, context = {} }) {
  const { view, input } = fixture(name);
  const opened = async (options, body) => {
    const page = await Opened.of(name, { context, ...options });
    try {
      await body(page);
      assert.deepEqual(page.errors, [], "errors in the page");
      assert.equal(page.dialogs, 0, "dialogs");
    } finally {
      await page.close();
    }
  };
  const showing = (options, body) =>
    opened(options, async (page) => {
      await page.show(options.view ?? view, input);
      if (expandAll) await expandAll(page);
      await body(page);
    });

  const fits = async (page, theme) => {
    const text = await page.text();
    assert.match(text, shown);
    for (const note of view.notes ?? []) assert.ok(text.includes(note), note);
    if (view.stale_seconds) assert.match(text, /As of \d+ (minutes|hours) ago/);
    for (const width of WIDTHS) {
      await page.page.setViewportSize({ width, height: 900 });
      await page.frame.waitForFunction((width) => innerWidth === width, width, { timeout: DEADLINE });
      assert.deepEqual(await page.overflow(), [], `at ${width}`);
      if (width === 360 || width === 1280) assert.deepEqual(await page.axe(), [], `axe at ${width}`);
      if (width === 360 || width === 1280) await screenshot(page, `${name}-${theme}-${width}`);
    }
    const ground = await page.frame.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(ground, theme === "light" ? "rgb(255, 255, 255)" : "rgb(22, 24, 29)");
  };

  test(`${name}: in light it fits every width, is accessible, and asks nothing of the network`, async () => {
    await showing({ theme: "light", images: [] }, async (page) => {
      await fits(page, "light");
      await until(() => page.requests.length === 0, "no request, but what the policy stopped");
      assert.deepEqual(await page.frame.evaluate(reachOut), ["refused", "refused"]);
      await until(() => page.requests.length === 0, "no request, but what the policy stopped");
    });
  });

  test(`${name}: in dark it fits every width, is accessible, and takes over the host's theme and nothing else of it`, async () => {
    await showing({ theme: "dark" }, async (page) => {
      await fits(page, "dark");
      const styles = { variables: { "--color-background-primary": "rgb(255, 250, 240)", "--color-text-primary": "url(https://elsewhere.example/x)", "--space-1": "99px" } };
      await page.host("context", { theme: "light", styles });
      await page.frame.waitForFunction(() => getComputedStyle(document.body).backgroundColor === "rgb(255, 250, 240)", null, { timeout: DEADLINE });
      assert.doesNotMatch(await page.frame.evaluate(() => document.documentElement.getAttribute("style")), /elsewhere|space/);
      assert.equal(await page.frame.evaluate(() => getComputedStyle(document.documentElement).colorScheme), "light");
    });
  });

  test(`${name}: speaks the host's language also when it changes, and text may be twice as large`, async () => {
    await showing({ locale: LOCALES.en }, async (page) => {
      const seen = new Set();
      for (const language of LANGUAGES) {
        await page.host("context", { locale: LOCALES[language] });
        await page.frame.waitForFunction((language) => document.documentElement.lang === language, language, { timeout: DEADLINE });
        assert.equal(await page.frame.title(), messages(language)[title]);
        assert.equal(await page.frame.locator("h1").count(), 1);
        seen.add(await page.text());
        assert.doesNotMatch(await page.text(), /\{\w+\}|#[0-9a-z]{1,2}\b|undefined|NaN|\[object/);
        assert.deepEqual(await page.overflow(), [], language);
      }
      assert.equal(seen.size, LANGUAGES.length, "each language reads differently");
      await large(page);
    });
  });

  const large = async (page) => {
    for (const [width, size] of [[360, "100%"], [768, "200%"], [360, "200%"]]) {
      await page.frame.evaluate((size) => (document.documentElement.style.fontSize = size), size);
      await page.page.setViewportSize({ width, height: 900 });
      await page.frame.waitForFunction((width) => innerWidth === width, width, { timeout: DEADLINE });
      await settled(page);
      assert.deepEqual(await page.overflow(), [], `German at ${width}, ${size}`);
    }
    await screenshot(page, `${name}-large-360`);
  };

  test(`${name}: hostile text stays text`, async () => {
    await opened({}, async (page) => {
      await page.show(hostile(view), input);
      if (expandAll) await expandAll(page);
      assert.ok((await page.text()).includes("onerror="), "the markup is shown as it is");
      assert.equal(await page.frame.locator("img[src=x], main script, svg[onload], a[href]").count(), 0);
      for (const link of await page.frame.locator("button:has(path[d^='M14 5h5'])").all()) await link.click();
      assert.deepEqual(page.notes.link.filter((url) => !url.startsWith("https://")), []);
      assert.notEqual(await page.frame.title(), "taken");
      assert.deepEqual(await page.overflow(), []);
      await until(() => page.requests.length === 0, "no request, but what the policy stopped");
    });
  });

  test(`${name}: says what it waits for, that it failed, and that there is nothing`, async () => {
    await opened({ answer: () => ({ content: [], structuredContent: view }) }, async (page) => {
      assert.match(await page.text(), /Waiting/);
      assert.deepEqual(await page.axe(), [], "axe while waiting");
      await page.host("input", input);
      await page.host("cancel");
      await page.frame.getByText("cancelled").waitFor({ timeout: DEADLINE });
      await page.host("result", { isError: true, content: [{ type: "text", text: "The shop is away." }] });
      await page.frame.getByRole("alert").getByText("The shop is away.").waitFor({ timeout: DEADLINE });
      assert.deepEqual(await page.axe(), [], "axe when failed");
      await page.host("result", { content: [{ type: "text", text: "Only words." }] });
      await page.frame.getByRole("alert").getByText("Only words.").waitFor({ timeout: DEADLINE });
      await page.role("button", "Try again").click();
      await page.frame.waitForFunction((source) => new RegExp(source).test(document.body.innerText), shown.source, { timeout: DEADLINE });
      assert.deepEqual(page.calls.at(-1).args, input, "a question is asked again as it was");
    });
    for (const [kind, nothing] of [["empty", empty], ["missing", {}]]) {
      await opened({ width: 360 }, async (page) => {
        await page.show(nothing, {});
        assert.doesNotMatch(await page.text(), /undefined|NaN|\[object|null/);
        assert.deepEqual(await page.overflow(), []);
        assert.deepEqual(await page.axe(), [], `axe when ${kind}`);
        await screenshot(page, `${name}-${kind}`);
      });
    }
  });

  if (change) neverRepeats(name, opened, { change, view, shown });
}

/** A change whose answer did not come, or tells nothing, was perhaps made: to make it again could make it twice. */
function neverRepeats(name, opened, { change: [input, question], view, shown }) {
  const unknown = { isError: true, content: [{ type: "text", text: "Kroger did not answer." }], _meta: { "portico.dev/error": { class: "unknown_outcome" } } };
  const looks = async (page) => {
    await page.role("button", "Show how it is now").click();
    await page.frame.waitForFunction((source) => new RegExp(source).test(document.body.innerText), shown.source, { timeout: DEADLINE });
    assert.deepEqual(page.calls.map(({ args }) => args), [question], "asked, and not changed again");
  };
  for (const [what, told, words] of [
    ["failed", (page) => page.host("result", { isError: true, content: [{ type: "text", text: "At most 3." }] }), /At most 3\./],
    ["told nothing", (page) => page.host("result", { content: [{ type: "text", text: "Only words." }] }), /Only words\./],
    ["was cancelled", (page) => page.host("cancel"), /was cancelled\.\s+It is not known whether this was done/],
    ["ended in nobody knows what", (page) => page.host("result", unknown), /It is not known whether this was done[^]*Kroger did not answer/],
  ]) {
    test(`${name}: a change that ${what} is not made again, but looked at`, async () => {
      await opened({ answer: () => ({ content: [], structuredContent: view }) }, async (page) => {
        await page.host("input", input);
        await told(page);
        await page.role("button", "Show how it is now").waitFor({ timeout: DEADLINE });
        assert.match(await page.text(), words);
        assert.deepEqual(await page.axe(), []);
        await looks(page);
      });
    });
  }
}

/** Tries to fetch and to load a script, in the page. */
async function reachOut() {
  const fetched = await fetch("https://elsewhere.example/").then(() => "reached", () => "refused");
  const script = document.createElement("script");
  script.src = "https://www.kroger.com/x.js";
  const loaded = new Promise((resolve) => {
    script.onload = () => resolve("reached");
    script.onerror = () => resolve("refused");
  });
  document.head.append(script);
  return [fetched, await loaded];
}

/** Waits until what has the focus says `what`: its name, or its text. */
export async function focusIs(opened, what) {
  const said = () => opened.frame.evaluate(() => {
    const { activeElement } = document;
    const label = activeElement.labels?.[0]?.innerText;
    return activeElement === document.body ? "nothing" : (activeElement.getAttribute("aria-label") ?? label ?? activeElement.innerText);
  });
  let last;
  await until(async () => (last = await said()).includes(what), `the focus on ${what}`).catch((error) => assert.fail(`${error.message}; it is on “${last}”`));
}

export { showingFixture };

/** Opens a page with its fixture and hands it to `body`; it must not have erred. */
async function showingFixture(name, options, body) {
  const { view, input } = fixture(name);
  const page = await Opened.of(name, options);
  try {
    await page.show(options.view ?? view, options.input ?? input);
    await body(page);
    assert.deepEqual(page.errors, []);
  } finally {
    await page.close();
  }
}

// Starts the two origins of the host, and the browser, once; opens pages in them.

import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { after } from "node:test";
import Ajv from "ajv/dist/2020.js";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { page as buildPage, pageMeta } from "../../build.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const AXE = readFileSync(join(HERE, "../../node_modules/axe-core/axe.min.js"), "utf8");
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
  // All frames in one process: faster, and no less apart from each other in what they may do.
  "--disable-features=IsolateSandboxedIframes,Translate,MediaRouter,OptimizationHints,HttpsUpgrades,PaintHolding",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];
const CAPABILITIES = { openLinks: {}, serverTools: {}, updateModelContext: { text: {} }, downloadFile: {} };
/** How long anything may take to come about, in milliseconds. */
export const DEADLINE = 60_000;

/** What the tools of the servers take, as their own tests keep it. */
const SCHEMAS = JSON.parse(readFileSync(join(HERE, "../../fixtures/kroger/schemas.json"), "utf8"));
const ajv = new Ajv({ strict: false, validateFormats: false });
const takes = Object.fromEntries(Object.entries(SCHEMAS).map(([tool, schema]) => [tool, ajv.compile(schema)]));

let started;
const pages = new Map();

function browserPath() {
  const named = process.env.PORTICO_CHROMIUM;
  if (named) return named;
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of ["chromium", "chromium-browser", "google-chrome"]) if (existsSync(join(folder, name))) return join(folder, name);
  }
  throw new Error("no Chromium: install Debian's `chromium`, or name one in PORTICO_CHROMIUM");
}

function listen(answer) {
  const server = createServer(answer);
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve({ server, port: server.address().port })));
}

function policy(url) {
  const images = url.searchParams.getAll("image").join(" ");
  return `default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: ${images}`;
}

async function start() {
  const bundle = await build({ entryPoints: [join(HERE, "host.ts")], bundle: true, write: false, format: "iife", target: "es2022", logLevel: "error" });
  const script = bundle.outputFiles[0].text.replaceAll("</script", "<\\/script");
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>host</title>
<style>body{margin:0}iframe{border:0;display:block;width:100%;height:20px}</style><body><script>${script}</script></body></html>`;
  const sandboxHtml = readFileSync(join(HERE, "sandbox.html"));
  const host = await listen((_, response) => response.setHeader("content-type", "text/html").end(html));
  const sandbox = await listen((request, response) => {
    response.setHeader("content-type", "text/html");
    response.setHeader("content-security-policy", policy(new URL(request.url, "http://sandbox")));
    response.end(sandboxHtml);
  });
  const browser = await chromium.launch({ executablePath: browserPath(), args: FLAGS });
  return { host, sandbox, browser };
}

after(async () => {
  const { host, sandbox, browser } = (await started) ?? {};
  await browser?.close();
  for (const one of [host, sandbox]) one?.server.closeAllConnections(), one?.server.close();
});

export async function html(name) {
  if (!pages.has(name)) pages.set(name, buildPage(name));
  return await pages.get(name);
}

/** A page in its host. `answer(tool, arguments)` gives the results of its calls. */
export class Opened {
  calls = [];
  notes = { link: [], file: [], model: [], size: [] };
  requests = [];
  /** The same, with those that the policy stopped. */
  attempts = [];
  errors = [];
  dialogs = 0;

  /** What the model was told, as far as now. */
  static async of(name, options = {}) {
    const opened = new Opened();
    await opened.begin(name, options);
    return opened;
  }

  async begin(name, { width = 1280, theme = "light", locale = "en-US", timeZone = "America/New_York", context = {}, capabilities = CAPABILITIES, images, pictures = false, reducedMotion = "reduce", answer, markup }) {
    started ??= start();
    const { host, sandbox, browser } = await started;
    this.answer = answer ?? (() => ({ content: [], structuredContent: {} }));
    this.context = await browser.newContext({ viewport: { width, height: 900 }, reducedMotion, colorScheme: theme, locale: "en-US" });
    this.context.setDefaultTimeout(DEADLINE);
    this.page = await this.context.newPage();
    await this.watch(pictures, host.port, sandbox.port);
    await this.page.exposeFunction("answerTool", async (tool, args) => {
      this.calls.push({ tool, args });
      if (takes[tool] && !takes[tool](args)) this.errors.push(`${tool} does not take ${JSON.stringify(args)}: ${ajv.errorsText(takes[tool].errors)}`);
      return await this.answer(tool, args);
    });
    await this.page.exposeFunction("note", (kind, value) => void this.notes[kind].push(value));
    await this.page.goto(`http://127.0.0.1:${host.port}/`);
    const declared = (images ?? pageMeta(name).images).map((origin) => `image=${encodeURIComponent(origin)}`).join("&");
    await this.page.evaluate((options) => window.host.open(options), {
      sandbox: `http://127.0.0.1:${sandbox.port}/?${declared}`,
      html: markup ?? (await html(name)),
      context: { theme, locale, timeZone, displayMode: "inline", ...context },
      capabilities,
    });
    this.frame = await until(() => this.page.frames().find((frame) => frame.url() === "about:srcdoc"), "the page's frame");
  }

  /** Notes requests that are none of the test's own. They lead nowhere, unless there are pictures. */
  async watch(pictures, ...ports) {
    const own = ports.map((port) => `http://127.0.0.1:${port}/`);
    const isOwn = (url) => own.some((prefix) => url.startsWith(prefix)) || /^(about|data):/.test(url);
    this.page.on("request", (request) => {
      if (isOwn(request.url())) return;
      this.requests.push(request.url());
      this.attempts.push(request.url());
    });
    // What the policy stopped was never sent.
    this.page.on("requestfailed", (request) => {
      if (request.failure()?.errorText === "csp") this.requests.splice(this.requests.indexOf(request.url()), 1);
    });
    this.page.on("pageerror", (error) => this.errors.push(String(error)));
    this.page.on("dialog", (dialog) => {
      this.dialogs += 1;
      void dialog.dismiss();
    });
    if (!pictures) return;
    await this.context.route("https://**/*", (route) => route.fulfill({ status: 200, contentType: "image/svg+xml", body: PICTURE }));
  }

  host(method, ...args) {
    return this.page.evaluate(([method, args]) => window.host[method](...args), [method, args]);
  }

  /** The answer of the tool that the page is for. */
  async show(view, input = {}) {
    await this.host("input", input);
    await this.host("result", { content: [{ type: "text", text: "said to the model" }], structuredContent: view });
    await this.frame.waitForSelector("main[aria-busy=false]", { state: "attached", timeout: DEADLINE });
  }

  role(role, name, options = {}) {
    return this.frame.getByRole(role, name === undefined ? options : { name, ...options });
  }

  text() {
    return this.frame.locator("main").innerText();
  }

  /** Presses Tab until the element named has the focus, as one without a mouse would. */
  async tabTo(role, name, most = 200) {
    const wanted = this.role(role, name).first();
    for (let step = 0; step < most; step += 1) {
      await this.page.keyboard.press("Tab");
      if (await wanted.evaluate((element) => element === document.activeElement)) return;
    }
    throw new Error(`${role} “${name}” is not reached by the keyboard`);
  }

  async axe() {
    await this.frame.evaluate(AXE);
    const { violations } = await this.frame.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} ${node.any.map((check) => check.message).join("; ").slice(0, 200)}`).join(" | ")}`);
  }

  /** What sticks out to the side, or is cut off. */
  overflow() {
    return this.frame.evaluate(() => {
      const root = document.documentElement;
      const found = root.scrollWidth > root.clientWidth ? [`the page: ${root.scrollWidth} > ${root.clientWidth}`] : [];
      const scrolls = (element) => element.closest(".scrolls") !== null;
      for (const element of document.querySelectorAll("body *")) {
        if (element.closest(".unseen") || element.closest("option") || scrolls(element)) continue;
        const box = element.getBoundingClientRect();
        if (box.width > 0 && box.right > root.clientWidth + 1) found.push(`${element.tagName}.${element.getAttribute("class")} ends at ${box.right}`);
        const around = element.parentElement.closest(".panel, .quantity, .button, .notice, .empty");
        if (around && box.width > 0 && box.right > around.getBoundingClientRect().right + 1) found.push(`${element.tagName}.${element.getAttribute("class")} sticks out of .${around.className}`);
        const words = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data).join("").trim();
        const style = getComputedStyle(element);
        if (words.length > 6 && element instanceof HTMLElement && element.checkVisibility() && box.width < 2 * parseFloat(style.fontSize)) found.push(`“${words}” is squeezed to ${box.width}`);
        const cut = style.overflowX !== "visible" && element.scrollWidth > element.clientWidth + 1;
        if (cut && !["INPUT", "TEXTAREA", "SELECT", "svg"].includes(element.tagName)) found.push(`${element.tagName}.${element.className} is cut off`);
      }
      return found.slice(0, 5);
    });
  }

  async close() {
    await this.context.close();
  }
}

const PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><rect width="10" height="10" fill="#9bd"/><circle cx="5" cy="5" r="3" fill="#357"/></svg>';

/** Waits for a condition; what it last gave stands in the error. */
export async function until(condition, what) {
  const end = Date.now() + DEADLINE;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`never came about: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

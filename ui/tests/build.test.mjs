import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { LANGUAGES, MAX_BYTES, keysIn, pageNames, read } from "../build.mjs";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const run = promisify(execFile);
const filesOf = (folder) => readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));

test("build: another machine's folder, clock, language and zone give the same bytes as those committed", async () => {
  const folder = mkdtempSync(join(tmpdir(), "portico-ui-"));
  try {
    for (const name of ["bridge", "components", "design", "locales", "build.mjs", "package.json", "tsconfig.json"]) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    const env = { ...process.env, TZ: "Asia/Kathmandu", LANG: "de_DE.UTF-8", SOURCE_DATE_EPOCH: "1" };
    await run(process.execPath, ["build.mjs"], { cwd: folder, env });
    for (const name of pageNames()) assert.equal(readFileSync(join(folder, `pages/${name}.html`), "utf8"), read(`pages/${name}.html`), `${name}: run \`npm run build\``);
    assert.equal(readFileSync(join(folder, "src/pages.rs"), "utf8"), read("src/pages.rs"));
    assert.deepEqual(readdirSync(join(ROOT, "pages")).sort(), pageNames().map((name) => `${name}.html`));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("build: the types are right", async () => {
  await run(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "--noEmit"], { cwd: ROOT }).catch((error) => assert.fail(error.stdout));
});

test("build: a page is small, and holds no path, source map or way to run text", () => {
  for (const name of pageNames()) {
    const html = read(`pages/${name}.html`);
    assert.ok(Buffer.byteLength(html) <= MAX_BYTES, `${name}: ${Buffer.byteLength(html)}`);
    assert.doesNotMatch(html, /sourceMappingURL|node_modules|\/tmp\/|\beval\(|new Function|innerHTML|document\.write|localStorage|document\.cookie/, name);
    assert.match(html, /http-equiv="Content-Security-Policy" content="default-src 'none'; /, name);
  }
});

test("build: sources write no markup from text, and handlers are no attributes", () => {
  for (const path of [...filesOf("bridge"), ...filesOf("design"), ...filesOf("components")]) {
    assert.doesNotMatch(readFileSync(path, "utf8"), /innerHTML|outerHTML|insertAdjacentHTML|dangerouslySet|document\.write|srcdoc|\bhref=/, path);
  }
});

test("locales: every language has every message, with the same names in it, and no page lacks one", () => {
  const [english, ...others] = LANGUAGES.map((language) => [language, JSON.parse(read(`locales/${language}.json`))]);
  const namesIn = (message) => [...new Set(JSON.stringify(message).match(/\{\w+\}/g) ?? [])].sort();
  for (const [language, messages] of others) {
    assert.deepEqual(Object.keys(messages).sort(), Object.keys(english[1]).sort(), language);
    for (const [key, message] of Object.entries(messages)) {
      assert.deepEqual(namesIn(message), namesIn(english[1][key]), `${language}: ${key}`);
      assert.equal(typeof message, typeof english[1][key], `${language}: ${key} counts as in English`);
      for (const form of Object.values(typeof message === "string" ? { message } : message)) assert.ok(form.trim() !== "", `${language}: ${key}`);
    }
  }
  const sources = [...filesOf("bridge"), ...filesOf("design"), ...filesOf("components")].filter((path) => /\.tsx?$/.test(path)).map((path) => path.slice(ROOT.length));
  assert.deepEqual(keysIn(sources).sort(), Object.keys(english[1]).sort(), "a message that no page uses");
});

test("sources: files stay under 500 lines and need no scrolling aside", () => {
  for (const path of [...filesOf("bridge"), ...filesOf("design"), ...filesOf("components"), ...filesOf("tests")]) {
    assert.ok(readFileSync(path, "utf8").split("\n").length <= 500, path);
  }
});

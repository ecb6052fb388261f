// Builds each page into one file without a request to anywhere, and the table of pages for Rust.
// Nothing of the machine goes in: no path, no time, no order of a folder. `node build.mjs [OUT]` writes to OUT instead.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
export const LANGUAGES = ["en", "es", "fr", "de"];
/** The most that a page may weigh, in bytes. */
export const MAX_BYTES = 64 * 1024;
const TARGET = ["es2022", "chrome123", "firefox121", "safari17.5"];
/** An origin, and nothing that could end the attribute or the policy it is put into. */
const ORIGIN = /^https:\/\/[a-z0-9.-]+$/;
const RENDERER = join(HERE, "design/render.ts");

export const read = (path) => readFileSync(join(HERE, path), "utf8");
const json = (path) => JSON.parse(read(path));
const version = json("package.json").version;

export function pageNames() {
  const folders = readdirSync(join(HERE, "components"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders.map((entry) => entry.name).sort();
}

export function pageMeta(name) {
  const meta = json(`components/${name}/page.json`);
  for (const origin of meta.images) if (!ORIGIN.test(origin)) throw new Error(`${name}: ${origin} is not an https origin`);
  return meta;
}

/** The whole file of a page. */
export async function page(name) {
  const meta = pageMeta(name);
  const probe = await bundle(name, meta, []);
  const script = await bundle(name, meta, keysIn(probe.sources));
  const style = await css(name);
  const html = document(meta, script.text, style);
  if (Buffer.byteLength(html) > MAX_BYTES) throw new Error(`${name}: ${Buffer.byteLength(html)} bytes are more than ${MAX_BYTES}`);
  return html;
}

/** The message keys that a page's sources name, so that it carries no others. */
export function keysIn(sources) {
  const known = Object.keys(json("locales/en.json"));
  const text = sources.map(read).join("\n");
  return known.filter((key) => text.includes(`"${key}"`));
}

/** By key, its message in each of the languages. */
function messages(keys) {
  const all = LANGUAGES.map((language) => json(`locales/${language}.json`));
  return Object.fromEntries(keys.map((key, index) => [shortKey(index), all.map((one) => one[key])]));
}

/** In a page a message is called by its number. */
function shortKey(index) {
  return `#${index.toString(36)}`;
}

function shorten(keys) {
  return {
    name: "shorten",
    setup(build) {
      build.onLoad({ filter: /\/(bridge|components|design)\/.*\.tsx?$/ }, ({ path }) => {
        let contents = readFileSync(path, "utf8");
        keys.forEach((key, index) => (contents = contents.replaceAll(`"${key}"`, `"${shortKey(index)}"`)));
        return { contents, loader: path.endsWith("x") ? "tsx" : "ts" };
      });
    },
  };
}

async function bundle(name, meta, keys) {
  const result = await build({
    absWorkingDir: HERE,
    entryPoints: [`components/${name}/index.tsx`],
    bundle: true,
    write: false,
    metafile: true,
    minify: true,
    format: "iife",
    target: TARGET,
    charset: "utf8",
    alias: { preact: RENDERER, "preact/hooks": RENDERER, "preact/jsx-runtime": RENDERER },
    legalComments: "none",
    jsx: "automatic",
    jsxImportSource: "preact",
    logLevel: "error",
    plugins: [given({ "portico:messages": messagesModule(keys), "portico:page": pageModule(meta) }), shorten(keys)],
  });
  const sources = Object.keys(result.metafile.inputs).filter((path) => /^(bridge|components|design)\//.test(path)).sort();
  return { text: result.outputFiles[0].text.trim(), sources };
}

function messagesModule(keys) {
  return `export const languages = ${JSON.stringify(LANGUAGES)}; export default ${JSON.stringify(messages(keys))}`;
}

function pageModule(meta) {
  return `export const imageOrigins = ${JSON.stringify(meta.images)}; export const version = ${JSON.stringify(version)};`;
}

/** Modules that stand in no file. */
function given(modules) {
  return {
    name: "given",
    setup(build) {
      build.onResolve({ filter: /^portico:/ }, ({ path }) => ({ path, namespace: "given" }));
      build.onLoad({ filter: /.*/, namespace: "given" }, ({ path }) => ({ contents: modules[path], loader: "js" }));
    },
  };
}

async function css(name) {
  const parts = ["design/tokens.css", "design/base.css", "design/elements.css", `components/${name}/style.css`];
  // Not lowered: `light-dark()` has to reach the browser.
  const { code } = await transform(parts.map(read).join("\n"), { loader: "css", minify: true, charset: "utf8" });
  return code.trim();
}

/** The policy stands in the page too, for hosts that set none: nothing is loaded but the images that were declared. */
function policy(meta) {
  const images = ["data:", ...meta.images].join(" ");
  return `default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src ${images}; base-uri 'none'; form-action 'none'`;
}

function document(meta, script, style) {
  if (/<\/script|<!--/i.test(script) || /<\/style/i.test(style)) throw new Error("script or style would end too early");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy(meta)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${meta.title}</title>
<style>${style}</style>
</head>
<body>
<div id="page"></div>
<script>${script}</script>
</body>
</html>
`;
}

/** The table of pages, as rustfmt leaves it. */
export function rustTable(pages) {
  const entry = ([name, html]) => {
    const images = pageMeta(name).images;
    const digest = createHash("sha256").update(html).digest("hex");
    const list = images.length === 0 ? "&[]" : `&[${images.map((origin) => `"${origin}"`).join(", ")}]`;
    return `    Page {
        name: "${name}",
        html: include_str!("../pages/${name}.html"),
        csp: Csp { resource_domains: ${list} },
        digest: "${digest}",
    },
`;
  };
  return `// Made by \`npm run build\` in \`ui/\`; do not edit.

use crate::{Csp, Page};

/// All pages, by name.
pub static PAGES: &[Page] = &[
${pages.map(entry).join("")}];
`;
}

export async function buildAll(out) {
  const pages = [];
  for (const name of pageNames()) pages.push([name, await page(name)]);
  mkdirSync(join(out, "pages"), { recursive: true });
  mkdirSync(join(out, "src"), { recursive: true });
  for (const [name, html] of pages) writeFileSync(join(out, "pages", `${name}.html`), html);
  writeFileSync(join(out, "src", "pages.rs"), rustTable(pages));
  return pages;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, html] of await buildAll(process.argv[2] ?? HERE)) console.log(`${name}: ${Buffer.byteLength(html)} bytes`);
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { common, fixture, showingFixture } from "./common.mjs";
import { DEADLINE, Opened, until } from "./host/index.mjs";

const NAME = "data-table";
const { view } = fixture(NAME);
const context = { toolInfo: { tool: { name: "list_fruit", annotations: { readOnlyHint: true }, inputSchema: { type: "object" } } } };

common(NAME, { title: "table.title", shown: /Apple 10/, empty: { columns: [], rows: [] }, context });

const first = (page) => page.frame.locator("tbody tr td:first-child span:nth-child(2)").allInnerTexts();

test("data-table: sorts by each type of column with the keyboard, and what is missing stays last", async () => {
  await showingFixture(NAME, {}, async (page) => {
    const orders = { Name: ["Äpfel", "Apple 9", "Apple 10", "Zitrone 柠檬"], Count: ["Apple 9", "Apple 10", "Zitrone 柠檬", "Äpfel"], Made: ["Zitrone 柠檬", "Apple 9", "Apple 10", "Äpfel"] };
    for (const [column, order] of Object.entries(orders)) {
      await page.role("button", column).focus();
      await page.page.keyboard.press("Enter");
      await until(async () => (await first(page)).join() === order.join(), `${column}: ${order}`);
      assert.equal(await page.role("columnheader", column).getAttribute("aria-sort"), "ascending");
    }
    await page.role("button", "Count").click();
    await page.role("button", "Count").click();
    await until(async () => (await first(page)).join() === "Zitrone 柠檬,Apple 10,Apple 9,Äpfel", "down, and without a number last");
    assert.equal(await page.role("columnheader", "Count").getAttribute("aria-sort"), "descending");
    assert.deepEqual(page.calls, []);
  });
});

test("data-table: five thousand rows are searched and paged at once", async () => {
  const rows = Array.from({ length: 5200 }, (_, index) => ({ name: `Row ${index}`, count: index }));
  await showingFixture(NAME, { view: { ...view, rows } }, async (page) => {
    assert.equal(await page.frame.locator("tbody tr").count(), 25);
    assert.match(await page.text(), /1 to 25 of 5,000/);
    assert.match(await page.text(), /200 more rows/);
    await page.role("button", "More").click();
    await page.frame.getByText("26 to 50 of 5,000").waitFor({ timeout: DEADLINE });
    await page.frame.getByLabel("Search").fill("row 4999");
    await until(async () => (await first(page)).join() === "Row 4999", "the one row");
    await page.frame.getByLabel("Search").fill("nothing such");
    await page.frame.getByText("No rows.").waitFor({ timeout: DEADLINE });
  });
});

test("data-table: two columns of one key stay two, however often the table is drawn", async () => {
  const columns = [{ key: "name", label: "Name" }, { key: "name", label: "Name again" }];
  await showingFixture(NAME, { view: { ...view, columns } }, async (page) => {
    for (let press = 0; press < 3; press += 1) await page.role("button", "Name again").click();
    await page.frame.getByLabel("Search").fill("apple");
    await until(async () => (await page.frame.locator("tbody tr").count()) === 2, "two rows");
    assert.equal(await page.frame.locator("th").count(), 2);
    assert.equal(await page.frame.locator("tbody td").count(), 4);
  });
});

test("data-table: rows are sorted once for an order, and not again for what is typed", async () => {
  const rows = Array.from({ length: 5000 }, (_, index) => ({ name: `Row ${(index * 7919) % 5000}`, count: index }));
  await showingFixture(NAME, { view: { ...view, rows } }, async (page) => {
    await page.frame.evaluate(() => {
      const { sort } = Array.prototype;
      window.sorts = 0;
      Array.prototype.sort = function (by) {
        if (this.length > 100) window.sorts += 1;
        return sort.call(this, by);
      };
      String.prototype.localeCompare = () => window.sorts += 1000;
    });
    await page.role("button", "Name").click();
    await until(async () => (await first(page))[1] === "Row 1", "sorted");
    await page.role("textbox", "Search").click();
    await page.page.keyboard.type("row 12");
    await until(async () => (await first(page))[1] === "Row 120", "found, and in order");
    await page.role("button", "More").click();
    await page.frame.getByText("26 to 50 of").waitFor({ timeout: DEADLINE });
    assert.equal(await page.frame.evaluate(() => window.sorts), 1);
  });
});

test("data-table: each row tells its place among all, and a text that is cut ends with a sign of it", async () => {
  const rows = Array.from({ length: 60 }, (_, index) => ({ name: `Row ${index} ${"x".repeat(index === 59 ? 600 : 0)}` }));
  await showingFixture(NAME, { view: { ...view, rows } }, async (page) => {
    const places = () => page.frame.locator("tr").evaluateAll((rows) => rows.map((row) => row.getAttribute("aria-rowindex")));
    assert.deepEqual((await places()).slice(0, 3), ["1", "2", "3"]);
    await page.role("button", "More").click();
    await page.role("button", "More").click();
    await page.frame.getByText("51 to 60 of 60").waitFor({ timeout: DEADLINE });
    assert.deepEqual((await places()).slice(0, 2), ["1", "52"]);
    assert.match((await first(page)).at(-1), /x…$/);
  });
});

test("data-table: narrow screens show cards that are still a table, with an order to choose", async () => {
  await showingFixture(NAME, { width: 360 }, async (page) => {
    await page.frame.getByLabel("Order").selectOption({ label: "Name, last first" });
    await until(async () => (await first(page))[0] === "Zitrone 柠檬", "the order");
    assert.equal(await page.frame.getByRole("table").count(), 1);
    assert.equal(await page.frame.getByRole("cell", { name: "$1,234,567.50" }).count(), 1);
  });
});

test("data-table: shows values of another type as they are, and dates as the host writes them", async () => {
  await showingFixture(NAME, { locale: "de-DE", timeZone: "Europe/Berlin" }, async (page) => {
    const text = await page.text();
    assert.match(text, /1\.234\.567,50\s\$/);
    assert.match(text, /26\. Nov\. 2026, 16:04/);
    assert.match(text, /last week/);
    assert.match(text, /\{"odd":\["value",1\]\}/);
  });
});

test("data-table: asks again only by a tool that is marked as one that only reads", async () => {
  for (const annotations of [{}, { readOnlyHint: false }]) {
    const page = await Opened.of(NAME, { context: { toolInfo: { tool: { ...context.toolInfo.tool, annotations } } } });
    try {
      await page.host("result", { isError: true, content: [{ type: "text", text: "The shop is away." }] });
      await page.frame.getByRole("alert").getByText("The shop is away.").waitFor({ timeout: DEADLINE });
      assert.equal(await page.role("button", "Try again").count(), 0);
    } finally {
      await page.close();
    }
  }
});

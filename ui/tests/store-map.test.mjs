import assert from "node:assert/strict";
import { test } from "node:test";
import { common, fixture, showingFixture } from "./common.mjs";
import { DEADLINE, until } from "./host/index.mjs";

const NAME = "store-map";
const { view } = fixture(NAME);

common(NAME, { title: "stores.title", shown: /On the Rhine/, empty: { stores: [], left_out_without_hours: 0 } });

const centre = (locator) => locator.locator("circle").evaluate((circle) => [Number(circle.getAttribute("cx")), Number(circle.getAttribute("cy"))]);
const dot = (page, number) => page.frame.locator(".dot", { hasText: new RegExp(`^${number}$`) });

test("store-map: draws north above south, west left of east, and distances true to its scale", async () => {
  await showingFixture(NAME, {}, async (page) => {
    const [rhine, hyde, south] = await Promise.all([1, 2, 3].map((number) => centre(dot(page, number))));
    assert.ok(hyde[0] > rhine[0] && hyde[1] < rhine[1], "Hyde Park is to the north-east");
    assert.ok(south[1] > rhine[1], "the third is to the south");
    const bar = await page.frame.locator(".scale path").evaluate((path) => path.getBBox().width);
    const miles = Number((await page.frame.locator(".scale text").textContent()).match(/[\d.]+/)[0]);
    const apart = (Math.hypot(hyde[0] - rhine[0], hyde[1] - rhine[1]) / bar) * miles;
    assert.ok(Math.abs(apart - 4.81) < 0.1, `${apart} miles on the map, 4.81 on the earth`);
    assert.equal(await page.frame.locator(".dot").count(), 3, "the one without a place is in the list alone");
    assert.equal(await page.frame.locator(".store").count(), 4);
  });
});

test("store-map: chooses by the map and by the keyboard alike", async () => {
  await showingFixture(NAME, {}, async (page) => {
    await dot(page, 2).click();
    await page.frame.locator(".dot.chosen", { hasText: "2" }).waitFor({ timeout: DEADLINE });
    assert.match(await page.frame.locator(".store.chosen").innerText(), /3760 Paxton Ave/);
    await page.tabTo("button", /very long name/);
    await page.page.keyboard.press("Enter");
    await page.frame.locator(".dot.chosen", { hasText: "3" }).waitFor({ timeout: DEADLINE });
    assert.equal(await page.role("button", /very long name/).getAttribute("aria-expanded"), "true");
  });
});

test("store-map: makes a store the person's own, and tells the model", async () => {
  await showingFixture(NAME, {}, async (page) => {
    await page.role("button", "Make this my store").click();
    await page.frame.getByText("Your store is now Kroger On the Rhine").first().waitFor({ timeout: DEADLINE });
    assert.deepEqual(page.calls, [{ tool: "user_profile", args: { action: "update", preferences: { location_id: "01400943", store_name: "Kroger On the Rhine" } } }]);
    await until(() => page.notes.model.length === 1, "the model is told");
    await page.role("button", "Show on a street map").click();
    await until(() => page.notes.link.length === 1, "the link");
    assert.match(page.notes.link[0], /^https:\/\/www\.openstreetmap\.org\/\?mlat=39\.10669&mlon=-84\.51123/);
  });
});

test("store-map: leaves out what is closed or lacks a service", async () => {
  await showingFixture(NAME, {}, async (page) => {
    await page.frame.getByLabel("Open now").check();
    await until(async () => (await page.frame.locator(".store").count()) === 2, "the open ones");
    await page.frame.getByLabel("Service").selectOption("Fuel");
    await page.frame.getByText("No store fits").waitFor({ timeout: DEADLINE });
    await page.frame.getByLabel("Open now").uncheck();
    await until(async () => (await page.frame.locator(".store").count()) === 1, "the one with fuel");
  });
});

test("store-map: one store alone, and places on both sides of the date line, are drawn inside", async () => {
  const at = (latitude, longitude) => ({ location_id: `${longitude}`, name: "x", latitude, longitude, services: [] });
  for (const stores of [[at(39, -84)], [at(52, 179.9), at(52, -179.9)], [at(90, 0), at(-90, 0)]]) {
    await showingFixture(NAME, { view: { ...view, origin: null, stores } }, async (page) => {
      for (const circle of await page.frame.locator(".dot").all()) {
        const [x, y] = await centre(circle);
        assert.ok(x >= 0 && x <= 640 && y >= 0 && y <= 420, `${x} ${y}`);
      }
      assert.match(await page.frame.locator(".scale").textContent(), /\d/);
    });
  }
});

test("store-map: a store without a name takes away the name of the store before", async () => {
  await showingFixture(NAME, { view: { ...view, stores: [view.stores[3]] } }, async (page) => {
    await page.role("button", "Make this my store").click();
    await until(() => page.calls.length === 1, "the call");
    assert.deepEqual(page.calls[0].args.preferences, { location_id: "01400999", store_name: null });
  });
});

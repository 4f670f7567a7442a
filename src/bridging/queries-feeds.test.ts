import { afterAll, expect, test } from "vitest";
import { testHomeservers } from "#src/testing.ts";
import { beginFeeds, leaseFeed, releaseFeeds } from "./queries-feeds.ts";

const servers = await testHomeservers(1);
afterAll(async () => await servers.close());
const { sql } = servers.hs;

const NOW = 1_000;
const feeds = async () => {
  const rows = await sql<{ id: string; last_txn: number }[]>`
    select appservice_id as id, last_txn from appservice_feeds order by appservice_id`;
  return rows.map((it) => `${it.id} ${it.last_txn}`);
};

test("whoever starts with an older configuration takes nothing from those with a newer one", async () => {
  await beginFeeds(sql, ["old", "new", "waiting"], NOW);
  // Before anybody has taken it on, while one does, and after they have stopped.
  await beginFeeds(sql, ["old"], NOW + 1);
  expect(await feeds()).toEqual(["new 1000", "old 1000", "waiting 1000"]);
  expect(await leaseFeed(sql, { appserviceId: "new", holder: "newer" })).toBeDefined();
  await beginFeeds(sql, ["old"], NOW + 2);
  await releaseFeeds(sql, "newer");
  await beginFeeds(sql, ["old"], NOW + 3);
  expect(await feeds()).toEqual(["new 1000", "old 1000", "waiting 1000"]);
});

test("what is of an application service that is gone goes, and it begins anew should it come back", async () => {
  await beginFeeds(sql, ["old", "gone"], NOW);
  await sql`update appservice_feeds set leased_until_ms = leased_until_ms - 7200000`;
  await beginFeeds(sql, ["old"], NOW + 5);
  expect(await feeds()).toEqual(["old 1000"]);
  await beginFeeds(sql, ["old", "gone"], NOW + 6);
  expect(await feeds()).toEqual(["gone 1006", "old 1000"]);
});

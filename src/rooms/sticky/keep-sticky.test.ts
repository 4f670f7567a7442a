import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { memberDraft } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { openHomeserver } from "#src/open-homeserver.ts";
import { findEvent } from "#src/rooms/find-event.ts";
import { receive, receivedRoom, RemoteRoom } from "#src/rooms/received/testing.ts";
import { EventStatus } from "#src/rooms/stored-event.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { keepStickyJob } from "./keep-sticky.ts";
import { stickyIn } from "./sticky-events.ts";

let servers: TestHomeservers;
let hs: Homeserver;
beforeAll(async () => {
  servers = await testHomeservers(2);
  ({ hs } = servers);
});
afterAll(async () => await servers.close());

const CREATOR: UserId = "@creator:one.test";
const CALLER: UserId = "@caller:two.test";
let rooms = 0;
const WAIT = { timeout: 20_000 };

const becomes = (membership: string) => memberDraft(CALLER, membership);
const sticky = (stickyMs: number, sentMs = Date.now()) => ({
  type: "org.example.call",
  content: {},
  stickyMs,
  origin_server_ts: sentMs,
});

async function begun() {
  const remote = new RemoteRoom("12", `sticky${rooms++}`);
  const join = remote.add(CALLER, becomes("join"), [remote.begin(CREATOR)]);
  const room = await receivedRoom(hs, remote);
  const take = async (...ids: EventId[]) => await receive(hs, { room, remote }, ids);
  const told = async (on: Homeserver) =>
    ((await stickyIn(on, [room.roomKey])).get(room.roomKey) ?? []).map((it) => it.eventKey);
  const keyOf = async (id: EventId) => (await findEvent(hs, id))?.eventKey;
  return { remote, room, join, take, told, keyOf };
}

test("what other servers send is sticky in all processes, and in those that come later", async () => {
  const { remote, join, take, told, keyOf } = await begun();
  for (const on of servers.all) expect(await told(on)).toEqual([]);
  const id = remote.add(CALLER, sticky(600_000), [join]);
  await take(id);
  const key = await keyOf(id);
  for (const on of servers.all) await expect.poll(async () => await told(on), WAIT).toEqual([key]);
  const late = await openHomeserver(hs.config, {
    databaseUrl: servers.database.url,
    log: hs.log,
  });
  expect(await told(late.hs)).toEqual([key]);
  await late.close();
});

test("it is so from when it was sent, or came, whichever was first", async () => {
  const { remote, join, take, told, keyOf } = await begun();
  const past = remote.add(CALLER, sticky(600_000, Date.now() - 700_000), [join]);
  const future = remote.add(CALLER, sticky(600_000, Date.now() + 700_000), [past]);
  const endless = remote.add(CALLER, sticky(3_600_001), [future]);
  await take(past, future, endless);
  expect(await told(hs)).toEqual([await keyOf(future)]);
  const [row] = await hs.sql<{ until_ms: number }[]>`
    select until_ms from sticky_events where event_key = ${(await keyOf(future)) ?? 0}`;
  expect(row?.until_ms).toBeLessThanOrEqual(Date.now() + 600_000);
});

test("what the room's state does not let be said is told once it does", async () => {
  const { remote, room, join, take, told, keyOf } = await begun();
  const kick = remote.add(CREATOR, becomes("leave"), [join]);
  await take(kick);
  const id = remote.add(CALLER, sticky(600_000), [join]);
  await take(id);
  expect((await findEvent(hs, id))?.status).toBe(EventStatus.softFailed);
  expect(await told(hs)).toEqual([]);
  await take(remote.add(CALLER, becomes("join"), [kick]));
  const key = await keyOf(id);
  for (const on of servers.all) await expect.poll(async () => await told(on), WAIT).toEqual([key]);
  const [row] = await hs.sql<{ told_at: number }[]>`
    select told_at from sticky_events where room_key = ${room.roomKey}`;
  expect(row?.told_at).toBeGreaterThan(key ?? 0);
});

describe("what is too much", () => {
  const rowsOf = async (roomKey: number) =>
    await hs.sql<{ event_key: number; told_at: number | null }[]>`
      select event_key, told_at from sticky_events
      where room_key = ${roomKey} and server_name is not null order by event_key`;
  const untold = (rows: readonly { told_at: number | null }[]) =>
    rows.filter((it) => it.told_at === null).length;

  test("of a user is told later, when their time is over of whom there is less then", async () => {
    const { remote, room, join, take, told } = await begun();
    const ids = [join];
    for (let n = 0; n < 107; n++) ids.push(remote.add(CALLER, sticky(600_000), ids.slice(-1)));
    await take(...ids.slice(1, 51));
    await take(...ids.slice(51));
    const rows = await rowsOf(room.roomKey);
    expect(untold(rows)).toBe(7);
    const keys = rows.map((it) => it.event_key);
    expect(await told(hs)).toEqual(keys.slice(0, 100));
    // Of others all is told.
    await take(remote.add(CREATOR, sticky(600_000), ids.slice(-1)));
    expect(await told(hs)).toHaveLength(101);
    await keepStickyJob.run(hs, hs.stopping);
    expect(untold(await rowsOf(room.roomKey))).toBe(7);
    await hs.sql`
      update sticky_events set until_ms = 0 where event_key = any(${keys.slice(0, 5)}::bigint[])`;
    await keepStickyJob.run(hs, hs.stopping);
    const later = await rowsOf(room.roomKey);
    expect(untold(later)).toBe(2);
    expect(new Set(later.flatMap((it) => it.told_at ?? [])).size).toBe(101);
    const last = keys.slice(100, 105);
    for (const on of servers.all) {
      await expect.poll(async () => (await told(on)).slice(-5), WAIT).toEqual(last);
    }
  });

  test("of a server is told later, and what is far too much not at all", async () => {
    const { remote, room, join, take, told } = await begun();
    const others = async (count: number, toldAt: number | null) =>
      await hs.sql`
        insert into sticky_events (event_key, room_key, sender_key, server_name, until_ms, told_at)
        select -(1 + random() * 1e12)::bigint, ${room.roomKey}, -n, 'two.test', ${Date.now() + 600_000}, ${toldAt}
        from generate_series(1, ${count}::int) as n`;
    await others(2_000, 0);
    const first = remote.add(CALLER, sticky(600_000), [join]);
    await take(first);
    expect(untold(await rowsOf(room.roomKey))).toBe(1);
    const own = remote.add(CREATOR, sticky(600_000), [first]);
    await take(own);
    expect(await told(hs)).toHaveLength(2_001);
    await others(2_999, null);
    const second = remote.add(CALLER, sticky(600_000), [own]);
    await take(second);
    expect((await findEvent(hs, second))?.status).toBe(EventStatus.accepted);
    expect(await rowsOf(room.roomKey)).toHaveLength(5_001);
    await hs.sql`delete from sticky_events where event_key < 0`;
  });
});

test("it is forgotten when its time is over", async () => {
  const { remote, room, join, take } = await begun();
  await take(remote.add(CALLER, sticky(600_000), [join]));
  await hs.sql`update sticky_events set until_ms = 0 where room_key = ${room.roomKey}`;
  await keepStickyJob.run(hs, hs.stopping);
  const left = await hs.sql`select from sticky_events where room_key = ${room.roomKey}`;
  expect(left).toHaveLength(0);
});

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { memberDraft, message, topic } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { currentStateRoot } from "#src/rooms/current-state.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { receiveEvents } from "#src/rooms/received/receive-events.ts";
import { storeOutliers } from "#src/rooms/received/store-outliers.ts";
import { receivedRoom, RemoteRoom } from "#src/rooms/received/testing.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";

let servers: TestHomeservers;
let hs: Homeserver;
let local: Requester;

beforeAll(async () => {
  servers = await testHomeservers(3);
  ({ hs } = servers);
  local = await testUser(hs, "local");
});
afterAll(async () => await servers.close());

const CREATOR: UserId = "@creator:one.test";

async function sharedRoom(name: string) {
  const remote = new RemoteRoom("12", name);
  const begun = remote.begin(CREATOR, { [local.userId]: 50 });
  const last = remote.add(local.userId, memberDraft(local.userId, "join"), [begun]);
  return { remote, room: await receivedRoom(hs, remote), last };
}

async function headOf(room: Room) {
  const [row] = await hs.sql<{ extremities: number[]; state_root: number }[]>`
    select extremities, state_root from rooms where room_key = ${room.roomKey}`;
  const events = await eventsOf(hs, row?.extremities ?? []);
  return { ends: [...events.values()].map((it) => it.eventId), root: row?.state_root };
}

describe("what is sent here and what comes from elsewhere", () => {
  test("is merged by the next event that is sent", async () => {
    const { remote, room, last } = await sharedRoom("merged");
    const forks = [1, 2, 3].map((n) => remote.add(CREATOR, topic(`fork ${n}`), [last]));
    for (const id of forks) await receiveEvents(hs, room, [remote.received(id)]);
    const before = await headOf(room);
    expect(new Set(before.ends)).toEqual(new Set(forks));

    const sent = await sendEvent(servers.all[1] ?? hs, {
      sender: local,
      room,
      draft: message("one"),
    });
    const after = await headOf(room);
    expect(after.ends).toEqual([sent]);
    const [row] = await hs.sql<{ json: string; state_before: number }[]>`
      select json, state_before from events where event_id = ${sent}`;
    const { prev_events } = JSON.parse(row?.json ?? "{}") as { prev_events: EventId[] };
    expect(new Set(prev_events)).toEqual(new Set(forks));
    expect(row?.state_before).toBe(before.root);
  });

  test("do not wait for each other in vain when outliers and history come", async () => {
    const { remote, room, last } = await sharedRoom("outliers");
    const side = Array.from({ length: 20 }, (_, n) => remote.add(CREATOR, topic(`${n}`), [last]));
    const sending = Array.from({ length: 40 }, async (_, n) => {
      const on = servers.all[n % 3] ?? hs;
      return await sendEvent(on, { sender: local, room, draft: message(`${n}`) });
    });
    const storing = side.slice(0, 10).map(async (id) => {
      await storeOutliers(hs, room, [remote.received(id)]);
    });
    const history = side
      .slice(10)
      .map(async (id) => await receiveEvents(hs, room, [remote.received(id)], { as: "history" }));
    const sent = await Promise.all(sending);
    await Promise.all([...storing, ...history]);
    const { ends } = await headOf(room);
    expect(ends).toHaveLength(1);
    expect(sent).toContain(ends[0]);
    const placed = await hs.sql<{ event_id: EventId; status: number }[]>`
      select event_id, status from events where event_id = any(${side}::text[])`;
    expect(placed.filter((it) => it.status === 3)).toHaveLength(10);
    expect(placed.filter((it) => it.status === 0)).toHaveLength(10);
  });

  test("may be many forks, of which the newest count", async () => {
    const { remote, room, last } = await sharedRoom("many");
    const forks = Array.from({ length: 30 }, (_, n) =>
      remote.add(CREATOR, message(`${n}`), [last]),
    );
    await receiveEvents(
      hs,
      room,
      forks.map((id) => remote.received(id)),
    );
    expect((await headOf(room)).ends).toHaveLength(20);
    const sent = await sendEvent(hs, { sender: local, room, draft: message("one") });
    expect((await headOf(room)).ends).toEqual([sent]);
  });

  test("do not lose each other, through three processes at once", async () => {
    const { remote, room, last } = await sharedRoom("busy");
    let tip = last;
    const theirs: EventId[] = [];
    for (let count = 0; count < 40; count++) {
      tip = remote.add(CREATOR, count % 2 === 0 ? topic(`${count}`) : message(`${count}`), [tip]);
      theirs.push(tip);
    }
    const sending = servers.all.map(async (on) => {
      const sent: EventId[] = [];
      for (let count = 0; count < 40; count++) {
        const draft = count % 5 === 0 ? topic(`ours ${count}`) : message(`ours ${count}`);
        sent.push(await sendEvent(on, { sender: local, room, draft }));
      }
      return sent;
    });
    const receiving = theirs.map(
      async (id, index) =>
        await receiveEvents(servers.all[index % 3] ?? hs, room, [remote.received(id)]),
    );
    const ours = (await Promise.all(sending)).flat();
    await Promise.all(receiving);

    const rows = await hs.sql<{ event_id: EventId; status: number; anchor: number | null }[]>`
      select event_id, status, anchor from events where room_key = ${room.roomKey}`;
    const accepted = rows.filter((it) => it.status === 0 && it.anchor !== null);
    expect(new Set(accepted.map((it) => it.event_id))).toEqual(
      new Set([...remote.events.keys(), ...ours]),
    );
    const holes = await hs.sql`select from missing_events where room_key = ${room.roomKey}`;
    expect(holes).toHaveLength(0);

    // All of them end in one when somebody says a word.
    const end = await sendEvent(hs, { sender: local, room, draft: message("done") });
    expect((await headOf(room)).ends).toEqual([end]);
    const [row] = await hs.sql<{ state_after: number }[]>`
      select state_after from events where event_id = ${end}`;
    expect(row?.state_after).toBe(await currentStateRoot(hs, room.roomKey));
  }, 60_000);
});

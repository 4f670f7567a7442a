import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { message } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { receive, receivedRoom, RemoteRoom } from "#src/rooms/received/testing.ts";
import { transactionsDuring } from "#src/testing-lane.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";

/** Homeservers of which each takes itself for the only one: so that what it takes for true often is not. */
let servers: TestHomeservers;
let one: Homeserver;
let other: Homeserver;

beforeAll(async () => {
  servers = await testHomeservers(2);
  [one, other] = servers.all as [Homeserver, Homeserver];
});
afterAll(async () => await servers.close());

const CREATOR: UserId = "@creator:one.test";
let rooms = 0;

/** Has each take itself for alone, once it has written. */
async function unseen(): Promise<void> {
  await servers.database.sql`delete from processes`;
}

/** A room of another server, and how it says one thing after the other there. */
async function roomOfOthers() {
  const remote = new RemoteRoom("12", `at once ${rooms++}`);
  let last = remote.begin(CREATOR);
  const room = await receivedRoom(one, remote);
  await unseen();
  const next = (draft: Parameters<RemoteRoom["add"]>[1]) => {
    last = remote.add(CREATOR, draft, [last]);
    return last;
  };
  const take = async (hs: Homeserver, ...ids: EventId[]) =>
    await receive(hs, { room, remote }, ids);
  // The first write of each sees that nobody else is there.
  for (const hs of servers.all) await take(hs, next(message("first")));
  return { room, next, take };
}

/** What is stored of a room, in its order, and where the room ends. */
async function storedOf({ roomKey }: Room) {
  const events = await one.sql<
    { event_id: EventId; event_key: number; redacted_by: number | null }[]
  >`
    select event_id, event_key, redacted_by from events
    where room_key = ${roomKey} and status = 0 order by anchor, anchor_offset`;
  const [head] = await one.sql<{ extremities: number[] }[]>`
    select extremities from rooms where room_key = ${roomKey}`;
  const holes = await one.sql`select from missing_events where room_key = ${roomKey}`;
  const idOf = (key: number) => events.find((it) => it.event_key === key)?.event_id;
  return { events, ends: head?.extremities.map(idOf), holes: holes.length };
}

describe("what other servers send to a process that is alone on its database", () => {
  test("is stored by one statement where it is messages", async () => {
    const { room, next, take } = await roomOfOthers();
    await take(one, next(message("takes its place")));
    const alone = [next(message("1")), next(message("2"))];
    const together = [next(message("3")), next(message("4")), next(message("5"))];
    const made = await transactionsDuring(one, async () => {
      for (const id of alone) await take(one, id);
      await take(one, ...together);
    });
    expect(made).toBe(0);
    const { events, ends, holes } = await storedOf(room);
    expect(events.map((it) => it.event_id).slice(-5)).toEqual([...alone, ...together]);
    expect(ends).toEqual(together.slice(-1));
    expect(holes).toBe(0);
  });

  test("is stored once and in order though others do the same who were not seen", async () => {
    const { room, next, take } = await roomOfOthers();
    const sent: EventId[] = [];
    for (let round = 0; round < 20; round++) {
      // They say again and again that they are there.
      await unseen();
      const ids = [next(message(`${round}`)), next(message(`${round} again`))];
      sent.push(...ids);
      await Promise.all([...servers.all, one].map(async (hs) => await take(hs, ...ids)));
      const alone = next(message(`${round} alone`));
      sent.push(alone);
      await take(round % 2 === 0 ? one : other, alone);
    }
    const { events, ends, holes } = await storedOf(room);
    expect(events.map((it) => it.event_id).slice(-sent.length)).toEqual(sent);
    expect(ends).toEqual(sent.slice(-1));
    expect(holes).toBe(0);
  });

  test("is followed by what had waited for it, and redacted if that was known before", async () => {
    const { room, next, take } = await roomOfOthers();
    const first = next(message("first"));
    const target = next(message("to be redacted"));
    const redaction = next({ type: "m.room.redaction", content: { redacts: target } });
    const last = next(message("last"));
    // The other process takes them, of which this one has not heard.
    await take(other, redaction);
    await take(other, last);
    await take(one, first);
    await take(one, target);
    const { events, ends, holes } = await storedOf(room);
    const ids = [first, target, redaction, last];
    expect(events.map((it) => it.event_id).slice(-4)).toEqual(ids);
    expect(ends).toEqual([last]);
    expect(holes).toBe(0);
    const [redacted, by] = ids.slice(1).map((id) => events.find((it) => it.event_id === id));
    expect(redacted?.redacted_by).toBe(by?.event_key);
  });
});

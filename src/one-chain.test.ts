import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";
import { joinRoom } from "#src/membership/join-room.ts";
import { allStateAt, currentStateRoot } from "#src/rooms/current-state.ts";
import { findEvents } from "#src/rooms/find-event.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { testHomeservers, type TestHomeservers, testRoom, testUser } from "#src/testing.ts";

let servers: TestHomeservers;
let alice: Requester;

beforeAll(async () => {
  servers = await testHomeservers(3);
  alice = await testUser(servers.hs, "alice");
});
afterAll(async () => await servers.close());

const newRoom = async (version = "12") =>
  await testRoom(servers.hs, alice, { preset: "public_chat", room_version: version });

function say(hs: Homeserver, sender: Requester, room: Room, body: string) {
  return sendEvent(hs, {
    sender,
    room,
    draft: { type: "m.room.message", content: { msgtype: "m.text", body } },
  });
}

/** The room's live events in its order, with what they name as their predecessors. */
async function chainOf(room: Room) {
  const rows = await servers.hs.sql<{ event_id: string; json: string }[]>`
    select event_id, json from events where room_key = ${room.roomKey} order by anchor, anchor_offset`;
  return rows.map((it) => ({
    id: it.event_id,
    prev: (JSON.parse(it.json) as { prev_events: unknown[] }).prev_events.map((prev) =>
      Array.isArray(prev) ? (prev[0] as string) : (prev as string),
    ),
  }));
}

/** What each event follows if they are one chain: the one before it, and the first none. */
function predecessorsIn(chain: readonly { id: string }[]): string[][] {
  return chain.map((_, index) => chain.slice(Math.max(0, index - 1), index).map((it) => it.id));
}

describe("events that local users send", () => {
  test.each(["1", "3", "6", "10", "11", "12"])(
    "make one chain in room version %s",
    async (version) => {
      const room = await newRoom(version);
      for (let count = 0; count < 3; count++) await say(servers.hs, alice, room, "hello");
      const chain = await chainOf(room);
      expect(chain.map((it) => it.prev)).toEqual(predecessorsIn(chain));
    },
  );

  test("make one chain though 64 send at once through three processes", async () => {
    const room = await newRoom();
    const users = await Promise.all(
      Array.from({ length: 64 }, async (_, index) => {
        const hs = servers.all[index % 3] ?? servers.hs;
        const user = await testUser(hs, `sender${index}`);
        await joinRoom(hs, user, room.roomId);
        return { hs, user };
      }),
    );
    const before = (await chainOf(room)).length;
    const sent = await Promise.all(
      users.flatMap(({ hs, user }) =>
        Array.from({ length: 4 }, async (_, index) => await say(hs, user, room, `${index}`)),
      ),
    );

    const chain = await chainOf(room);
    expect(new Set(sent).size).toBe(256);
    expect(chain).toHaveLength(before + 256);
    expect(chain.map((it) => it.prev)).toEqual(predecessorsIn(chain));
    const [head] = await servers.hs.sql<{ extremities: number[] }[]>`
      select extremities from rooms where room_key = ${room.roomKey}`;
    const last = await findEvents(servers.hs, [chain.at(-1)?.id as `$${string}`]);
    expect(head?.extremities).toEqual([...last.values()].map((it) => it.eventKey));
  });

  test("are sent once for a transaction ID, whichever process it comes to", async () => {
    const room = await newRoom();
    const sent = await Promise.all(
      Array.from(
        { length: 12 },
        async (_, index) =>
          await sendEvent(servers.all[index % 3] ?? servers.hs, {
            sender: alice,
            room,
            draft: { type: "m.room.message", content: { msgtype: "m.text", body: `${index}` } },
            transaction: { deviceKey: 7, txnId: "once" },
          }),
      ),
    );
    expect(new Set(sent).size).toBe(1);
  });

  test("leave nothing when they are refused, and others of the group are kept", async () => {
    const room = await newRoom();
    const mallory = await testUser(servers.hs, "mallory");
    const [refused, kept] = await Promise.allSettled([
      say(servers.hs, mallory, room, "no"),
      say(servers.hs, alice, room, "yes"),
    ]);
    expect(refused).toMatchObject({ reason: { errcode: "M_FORBIDDEN" } });
    expect(kept.status).toBe("fulfilled");
    const chain = await chainOf(room);
    expect(chain.at(-1)?.id).toBe((kept as PromiseFulfilledResult<string>).value);
  });

  test("change a state that every process reads back at once", async () => {
    const room = await newRoom();
    const [one, two, three] = servers.all as [Homeserver, Homeserver, Homeserver];
    for (const [index, hs] of [one, two, three, two, one].entries()) {
      const draft = { type: "m.room.topic", state_key: "", content: { topic: `topic ${index}` } };
      await sendEvent(hs, { sender: alice, room, draft });
      for (const reader of servers.all) {
        const state = await allStateAt(reader, await currentStateRoot(reader, room.roomKey));
        const topics = state.filter((it) => it.type === "m.room.topic");
        expect(topics.map((it) => it.content["topic"])).toEqual([`topic ${index}`]);
      }
    }
  });
});

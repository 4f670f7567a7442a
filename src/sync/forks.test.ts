import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stateKeyOf } from "#src/events/pdu.ts";
import { topic } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { allStateAt, currentStateRoot } from "#src/rooms/current-state.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { membershipOf } from "#src/rooms/memberships.ts";
import { forkedRoom, inBatches, steps } from "#src/rooms/received/testing-forks.ts";
import { deliverBatch, knownRoom } from "#src/rooms/received/testing.ts";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";
import { readMessages } from "#src/timeline/read-messages.ts";
import type { Place } from "#src/timeline/token.ts";
import { viewOfRoom } from "#src/timeline/view-of-room.ts";
import { readSync } from "./read-sync.ts";

let servers: TestHomeservers;
let hs: Homeserver;
let local: Requester;

beforeAll(async () => {
  servers = await testHomeservers(1);
  ({ hs } = servers);
  local = await testUser(hs, "local");
});
afterAll(async () => await servers.close());

type StateAfter = "state_after" | undefined;

/** A client that believes what it is told. */
class Client {
  readonly state = new Map<string, EventId>();
  readonly seen: EventId[] = [];
  since: number | undefined;
  readonly #stateAfter: StateAfter;
  readonly #limit: number;

  constructor(stateAfter: StateAfter, limit: number) {
    this.#stateAfter = stateAfter;
    this.#limit = limit;
  }

  async sync({ roomKey }: Room): Promise<void> {
    const answer = await readSync(hs, {
      requester: local,
      filter: { room: { timeline: { limit: this.#limit } } },
      since: this.since,
      fullState: false,
      stateAfter: this.#stateAfter,
    });
    const timeline = answer.timelines.get(roomKey)?.events ?? [];
    const told = answer.states.get(roomKey) ?? [];
    for (const it of this.#stateAfter ? told : [...told, ...timeline]) {
      if (it.stateKey !== undefined) this.state.set(stateKeyOf(it.type, it.stateKey), it.eventId);
    }
    // Whoever comes back begins anew.
    if (answer.rooms.joined.find((it) => it.roomKey === roomKey)?.isNew) this.seen.length = 0;
    this.seen.push(...timeline.map((it) => it.eventId));
    this.since = answer.upTo;
  }
}

/** What a room's state has; of what it has no more, nobody is told. */
async function trueState({ roomKey }: Room): Promise<Map<string, EventId>> {
  const events = await allStateAt(hs, await currentStateRoot(hs, roomKey));
  return new Map(events.map((it) => [stateKeyOf(it.type, it.stateKey ?? ""), it.eventId]));
}

async function pagesOf(room: Room, direction: "b" | "f", limit: number): Promise<EventId[]> {
  const view = await viewOfRoom(hs, local, room.roomId);
  const seen: EventId[] = [];
  let from: Place | undefined;
  for (;;) {
    const page = await readMessages(hs, local, view, {
      direction,
      from,
      to: undefined,
      limit,
      filter: undefined,
    });
    seen.push(...page.events.map((it) => it.eventId));
    if (!page.end) return seen;
    from = page.end;
  }
}

const numbers = (max: number) => fc.array(fc.nat(max), { minLength: 22, maxLength: 22 });

type Steps = typeof steps extends fc.Arbitrary<infer Its> ? Its : never;
type Row = readonly [number, number, Steps[number]["kind"], 0 | 50 | 100, number[], number];

/** Forks meet in redactions that redact nothing, and so are not shown: the state that they come to is news all the same. */
const FORKS_MET_UNSEEN: readonly Row[] = [
  [3, 0, "rules", 100, [5, 4], 4],
  [1, 1, "join", 100, [3, 5], 1],
  [1, 0, "redaction", 100, [4], 3],
  [0, 2, "ban", 100, [2, 1, 5], 3],
  [0, 2, "rules", 0, [4], 2],
  [1, 3, "rules", 50, [3, 1], 2],
  [1, 2, "redaction", 50, [1], 0],
  [0, 3, "topic", 100, [4, 0], 3],
  [1, 2, "leave", 100, [4, 3], 0],
  [0, 2, "ban", 100, [0], 2],
  [3, 2, "kick", 100, [3], 3],
  [3, 1, "redaction", 100, [0, 5, 4], 1],
];
const EXAMPLE: [Steps, number[], number[], number] = [
  FORKS_MET_UNSEEN.map(([sender, target, kind, level, back, redacts]) => ({
    sender,
    target,
    kind,
    level,
    back,
    redacts,
  })),
  [
    995, 826, 678, 4, 665, 22, 868, 674, 3, 547, 787, 946, 56, 193, 748, 451, 1000, 627, 997, 913,
    430, 994,
  ],
  [1, 1, 1, 3, 1, 1, 1, 4, 2, 0, 2, 3, 2, 2, 0, 4, 4, 0, 0, 3, 1, 3],
  8,
];

describe("a client in a room with forks", () => {
  test.each([
    ["the state before the timeline", undefined],
    ["the state after the timeline", "state_after"],
  ] as const)("that asks for %s comes to the room's true state", async (_name, stateAfter) => {
    await fc.assert(
      fc.asyncProperty(
        steps,
        numbers(1_000),
        numbers(4),
        fc.integer({ min: 1, max: 12 }),
        async (its, shuffle, sizes, limit) => {
          const { room: remote, basis, later } = forkedRoom("11", its);
          const room = await knownRoom(hs, remote);
          const client = new Client(stateAfter, limit);
          let left = [basis, ...inBatches(later, { shuffle, sizes: sizes.map((it) => it + 1) })];
          while (left.length > 0) {
            const again: EventId[][] = [];
            for (const batch of left) {
              const refused = await deliverBatch(hs, room, remote, batch);
              if (refused.length > 0) again.push(refused);
              await client.sync(room);
              // Who is out of the room is told of it no more.
              if ((await membershipOf(hs, local.userKey, room.roomKey)) !== "join") return;
              const truth = await trueState(room);
              const told = [...truth.keys()].map((key) => [key, client.state.get(key)]);
              expect(new Map(told as [string, EventId][])).toEqual(truth);
            }
            left = again;
          }
          expect(new Set(client.seen).size).toBe(client.seen.length);

          const shown = await hs.sql<{ event_id: EventId }[]>`
            select event_id from events where room_key = ${room.roomKey} and status = 0
            order by anchor, anchor_offset`;
          const order = shown.map((it) => it.event_id);
          expect(await pagesOf(room, "f", limit)).toEqual(order);
          expect(await pagesOf(room, "b", limit)).toEqual(order.toReversed());
        },
      ),
      { numRuns: 25, endOnFailure: true, examples: [EXAMPLE] },
    );
  });

  test("is told of all that was said, the state that counts last", async () => {
    const { room: remote, basis } = forkedRoom("11", []);
    const room = await knownRoom(hs, remote);
    const [earlier, later] = ["earlier", "later"].map((text) =>
      remote.add("@creator:one.test", topic(text), [basis.at(-1) ?? "$"]),
    ) as [EventId, EventId];
    await deliverBatch(hs, room, remote, basis);
    const client = new Client(undefined, 12);
    await client.sync(room);
    await deliverBatch(hs, room, remote, [later]);
    await deliverBatch(hs, room, remote, [earlier]);
    await client.sync(room);
    expect(client.state.get(stateKeyOf("m.room.topic", ""))).toBe(later);
    expect(client.seen.slice(-2)).toEqual([earlier, later]);
  });
});

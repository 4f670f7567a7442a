/** Random rooms of all versions: what Synapse says of their events, and of the state of their forks. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RoomGraph } from "#src/events/pdu.ts";
import { splitStateKey, stateKeyOf } from "#src/events/pdu.ts";
import { resolveState } from "#src/events/state-resolution/resolve.ts";
import type { StateMap } from "#src/events/state-resolution/state-map.ts";
import { parseWireJson } from "#src/kit/wire-json.ts";
import { Dice } from "./dice.ts";
import {
  type JudgedAttempt,
  type JudgedResolution,
  RESOLUTION_DIFFERENCES,
  sortOut,
  VERDICT_DIFFERENCES,
} from "./known-differences.ts";
import { openOracle, type Oracle, type ResolveItem } from "./oracle.ts";
import { type Attempt, randomRoom, type RandomRoom } from "./random-room.ts";
import { batches, ORACLE_MISSING, report, seeds, suiteName, VERSIONS } from "./suite.ts";

const ROOMS_PER_VERSION = 200;

describe.skipIf(ORACLE_MISSING)(suiteName("random rooms"), () => {
  let oracle: Oracle;
  let rooms: RandomRoom[];

  beforeAll(async () => {
    oracle = await openOracle();
    rooms = VERSIONS.flatMap((rules) =>
      seeds(ROOMS_PER_VERSION).map((seed) => randomRoom(seed, rules)),
    );
  });
  afterAll(async () => {
    await oracle.close();
  });

  test("the authorisation rules give Synapse's verdicts", { timeout: 120_000 }, async () => {
    const differing: JudgedAttempt[] = [];
    let judged = 0;
    for (const some of batches(rooms, 50)) {
      const answers = await oracle.authorise(some.map(authoriseItemOf));
      for (const [index, room] of some.entries()) {
        for (const [place, attempt] of room.attempts.entries()) {
          const answer = answers[index]?.[place];
          if (!answer || "refused" in answer) continue;
          judged += 1;
          for (const by of ["byAuthEvents", "byState"] as const) {
            const verdict = answer[by];
            const ours = attempt[by].allowed;
            if (verdict.allowed === ours) continue;
            const theirs = verdict.allowed ? undefined : `${verdict.refused}: ${verdict.reason}`;
            differing.push({ room, attempt, by, ours, theirs });
          }
        }
      }
    }

    const { unexplained, counts } = sortOut(differing, VERDICT_DIFFERENCES);
    report(
      `verdicts on ${judged} events of ${VERSIONS.length} room versions; known: ${tell(counts)}`,
    );
    expect(unexplained.slice(0, 10).map(tellAttempt)).toEqual([]);
    expect(judged).toBeGreaterThanOrEqual(20_000);
    for (const [what, count] of counts) expect(count, what).toBeGreaterThan(0);
  });

  test("forks resolve to Synapse's state", { timeout: 120_000 }, async () => {
    const differing: (JudgedResolution & { ours: unknown; theirState: unknown })[] = [];
    let forked = 0;
    const graphs = rooms.flatMap((room, index) => forksOf(room, index));
    for (const some of batches(graphs, 100)) {
      const answers = await oracle.resolve(some.map(({ item }) => item));
      for (const [index, { room, item }] of some.entries()) {
        const answer = answers[index];
        if (!answer) continue;
        forked += 1;
        const ours = resolvedHere(room, item);
        const theirs = "refused" in answer ? `${answer.refused}: ${answer.reason}` : undefined;
        const theirState = "refused" in answer ? undefined : answer.state;
        if (JSON.stringify(ours) === JSON.stringify(theirState)) continue;
        differing.push({ room, sets: item.sets, theirs, ours, theirState });
      }
    }

    const { unexplained, counts } = sortOut(differing, RESOLUTION_DIFFERENCES);
    report(`resolved state of ${forked} forked graphs; known: ${tell(counts)}`);
    expect(unexplained.slice(0, 5).map(tellResolution)).toEqual([]);
    expect(forked).toBeGreaterThanOrEqual(2_000);
    for (const [what, count] of counts) expect(count, what).toBeGreaterThan(0);
  });
});

function poolOf({ rules, pool }: RandomRoom) {
  return {
    version: rules.version,
    pool: pool.map(({ text }) => text),
    rejected: pool.flatMap(({ rejected }, place) => (rejected ? [place] : [])),
  };
}

function authoriseItemOf(room: RandomRoom) {
  const cases = room.attempts.map(({ text, state }) => ({ text, state: stateFor(room, state) }));
  return { ...poolOf(room), cases };
}

/** The state as Synapse wants it: the create event among it. */
function stateFor(_room: RandomRoom, state: readonly number[]): readonly number[] {
  return state;
}

/** Sets of states of a room that differ: as they came about, or shaken up. */
function forksOf(room: RandomRoom, seed: number): { room: RandomRoom; item: ResolveItem }[] {
  const dice = new Dice(seed);
  const places = new Map(room.pool.map(({ event }, place) => [event.event_id, place]));
  const placesOf = (state: RandomRoom["states"][number]): number[] =>
    [...state.values()].map(({ event_id }) => places.get(event_id) ?? 0);
  const all = room.states.map(placesOf);
  const asTheyAre = all.slice(0, 4);
  const items: number[][][] = [asTheyAre];
  // A state in which some things are missing or other than anybody ever had them.
  items.push(
    all
      .slice(0, 3)
      .concat([[...(all[0] ?? [])]])
      .map((state) => shaken(dice, room, state)),
  );
  return items
    .filter((sets) => new Set(sets.map((set) => JSON.stringify(set.toSorted()))).size > 1)
    .map((sets) => ({ room, item: { ...poolOf(room), sets } }));
}

function shaken(dice: Dice, room: RandomRoom, state: readonly number[]): number[] {
  const kept = state.flatMap((place) => {
    const held = room.pool[place]?.event;
    if (!held || held.type === "m.room.create") return [place];
    if (dice.chance(8)) return [];
    if (!dice.chance(15)) return [place];
    const others = room.pool.flatMap(({ event }, other) =>
      event.type === held.type && event.state_key === held.state_key ? [other] : [],
    );
    return [dice.pick(others)];
  });
  return kept;
}

function resolvedHere(room: RandomRoom, item: ResolveItem): [string, string, string][] {
  const graph: RoomGraph = {
    events: new Map(room.pool.map(({ event }) => [event.event_id, event])),
    rejected: new Set(
      room.pool.flatMap(({ event, rejected }) => (rejected ? [event.event_id] : [])),
    ),
  };
  const sets = item.sets.map((places): StateMap => {
    const events = places.flatMap((place) => room.pool[place]?.event ?? []);
    return new Map(events.map((event) => [stateKeyOfEvent(event), event.event_id]));
  });
  return [...resolveState(sets, graph, room.rules)]
    .map(([key, id]): [string, string, string] => [...splitStateKey(key), id])
    .sort((x, y) => (x.join("\0") < y.join("\0") ? -1 : 1));
}

function stateKeyOfEvent({ type, state_key }: Attempt["event"]) {
  return stateKeyOf(type, state_key ?? "");
}

function tell(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([what, count]) => `${what} ×${count}`).join("; ") || "none";
}

function tellAttempt({ room, attempt, by, ours, theirs }: JudgedAttempt): unknown {
  const verdict = attempt[by];
  return {
    version: room.rules.version,
    by,
    ours: ours ? `allowed by ${verdict.rule}` : `rejected by ${verdict.rule}`,
    theirs: theirs ?? "allowed",
    event: parseWireJson(attempt.text),
    state: attempt.state.map((place) => room.pool[place]?.text),
  };
}

function tellResolution({
  room,
  sets,
  theirs,
  ...states
}: JudgedResolution & { ours: unknown; theirState: unknown }): unknown {
  return {
    version: room.rules.version,
    sets,
    theirs,
    ...states,
    pool: room.pool.map(({ text, rejected, event }) => ({ id: event.event_id, text, rejected })),
  };
}

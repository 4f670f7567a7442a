/**
 * State resolution of a large room: W7 of the workloads.
 *
 * `node bench/resolution.ts [--members 10000] [--room-version 11] [--vs synapse]`
 *
 * Two branches of a room disagree on some entries of its state. Prints, for each number of entries,
 * the CPU time of finding the auth difference and resolving, the first time and the median of the
 * next; and the longest stretch for which the event loop was held when it is done in slices. With
 * `--vs synapse`, also what Synapse's resolver needs for the same graph, without the auth difference,
 * for which it asks its database; and whether it comes to the same state.
 */
import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { splitStateKey, type StateKey } from "#src/events/pdu.ts";
import { ROOM_VERSIONS, type RoomVersionRules } from "#src/events/room-versions.ts";
import { authDifference } from "#src/events/state-resolution/auth-difference.ts";
import { splitConflicts } from "#src/events/state-resolution/conflicts.ts";
import {
  resolveConflicts,
  resolveConflictsInSlices,
} from "#src/events/state-resolution/resolve.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { openOracle, type Oracle } from "../spec-tests/oracle/oracle.ts";
import { type ForkedRoom, forkedRoom } from "./resolution-room.ts";

const CONFLICTS = [50, 500, 2_000] as const;
const RUNS = 15;
const SLICE_MILLISECONDS = 5;

const { values: options } = parseArgs({
  options: {
    members: { type: "string", default: "10000" },
    "room-version": { type: "string", default: "11" },
    vs: { type: "string" },
  },
});
const rules = ROOM_VERSIONS.get(options["room-version"]);
if (!rules) throw new Error(`no room version ${options["room-version"]}`);
const oracle = options.vs === "synapse" ? await openOracle() : undefined;

print([
  "entries",
  "first ms",
  "median ms",
  "longest stretch ms",
  ...(oracle ? ["Synapse ms"] : []),
]);
for (const conflicts of CONFLICTS) {
  const room = forkedRoom({ members: Number(options.members), conflicts, rules });
  const { first, median, resolved } = measure(room, rules);
  const stretch = await longestStretch(room, rules);
  const theirs = oracle ? [await synapseFigure(oracle, room, resolved)] : [];
  print([String(conflicts), first.toFixed(1), median.toFixed(1), stretch.toFixed(1), ...theirs]);
}
await oracle?.close();

type Resolved = ReadonlyMap<StateKey, EventId>;

/** CPU milliseconds of finding out and resolving: the first time, and the median of the others. */
function measure(room: ForkedRoom, version: RoomVersionRules) {
  const split = splitConflicts(room.stateSets, version);
  const times: number[] = [];
  let resolved: Resolved = new Map();
  for (let run = 0; run <= RUNS; run += 1) {
    const before = process.cpuUsage();
    resolved = resolveConflicts(conflictOf(room, split), version);
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / 1000);
  }
  const [first = Number.NaN, ...others] = times;
  const median = others.toSorted((x, y) => x - y)[Math.floor(RUNS / 2)] ?? Number.NaN;
  return { first, median, resolved: new Map([...split.unconflicted, ...resolved]) };
}

function conflictOf(room: ForkedRoom, split: ReturnType<typeof splitConflicts>) {
  const { conflicted, unconflicted, forks } = split;
  const { graph, orderOf } = room;
  // As a store does that numbers its events: only what came after the oldest candidate can reach one.
  const shared = (candidates: ReadonlySet<EventId>): EventId[] => {
    const oldest = Math.min(...[...candidates].map(orderOf));
    return room.sharedNotBefore(oldest);
  };
  return {
    conflicted,
    unconflicted: (key: StateKey) => unconflicted.get(key),
    authDifference: authDifference({ forks, shared, graph }),
    graph,
  };
}

/** Milliseconds for which the event loop is held at most, when the resolution is done in slices. */
async function longestStretch(room: ForkedRoom, version: RoomVersionRules): Promise<number> {
  const conflict = conflictOf(room, splitConflicts(room.stateSets, version));
  let longest = 0;
  let begun = performance.now();
  const pause = (): Promise<void> | undefined => {
    const held = performance.now() - begun;
    if (held < SLICE_MILLISECONDS) return undefined;
    longest = Math.max(longest, held);
    return new Promise((resolve) => {
      setImmediate(() => {
        begun = performance.now();
        resolve();
      });
    });
  };
  await resolveConflictsInSlices(conflict, version, pause);
  return Math.max(longest, performance.now() - begun);
}

/** Synapse's figure, with a warning beside it if it comes to another state. */
async function synapseFigure(from: Oracle, room: ForkedRoom, ours: Resolved): Promise<string> {
  const [answer] = await from.time([{ ...room.item, rejected: [], repeat: 5 }]);
  if (!answer) return "none";
  const median = answer.milliseconds.toSorted((x, y) => x - y)[2] ?? Number.NaN;
  return `${median.toFixed(1)}${answer.digest === digestOf(ours) ? "" : " (ANOTHER STATE)"}`;
}

/** The digest of a state as the oracle makes it, of `json.dumps` with its spaces. */
function digestOf(state: Resolved): string {
  const rows = [...state]
    .map(([key, id]) => [...splitStateKey(key), id].map((text) => JSON.stringify(text)))
    .map((row) => `[${row.join(", ")}]`)
    .sort();
  return createHash("sha256")
    .update(`[${rows.join(", ")}]`)
    .digest("hex");
}

function print(columns: readonly string[]): void {
  process.stdout.write(`${columns.map((column) => column.padStart(20)).join("")}\n`);
}

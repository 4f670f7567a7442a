import { Counter, Histogram } from "prom-client";
import { isDatabaseAway, isDeadlock } from "#src/homeserver/connection-errors.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";
import { OneStatement, written } from "#src/homeserver/one-statement.ts";
import type { Position } from "#src/homeserver/position.ts";
import { commitAtOnce, noteStanding } from "./commit-at-once.ts";
import {
  type Committed,
  cutNear,
  type Group,
  groupOf,
  type Part,
  type Pending,
  placeGroup,
} from "./group.ts";
import { isDoubtful, saySeen, tellOthers } from "./presence.ts";
import type { Change, Outcome } from "./stream.ts";
import { tailOf } from "./tail.ts";

const groups = new Counter({
  name: "archipel_write_groups_total",
  help: "Transactions that wrote to the streams, by how they ended: committed, refused or lost.",
  labelNames: ["outcome"] as const,
  registers: [registry],
});
const groupSize = new Histogram({
  name: "archipel_write_group_size",
  help: "Writes in one transaction.",
  buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
  registers: [registry],
});

/** How often a group is tried that the database undoes for a deadlock: each time it waits a second to see it. */
const MOST_TRIES = 4;

/**
 * Commits a group of writes in one transaction, and settles each. Never throws.
 *
 * If the database undoes the group as it and another transaction wait for each other, it is tried again. If it
 * refuses the group, its halves are tried, so that in the end only the write at fault fails, with those that belong to it.
 * If the connection is lost, or none can be made, all fail: the group may be durable or not, so nothing is tried again.
 */
export async function commitGroup(
  hs: Homeserver,
  pending: readonly Pending[],
  tries = MOST_TRIES,
): Promise<void> {
  const group = groupOf(pending);
  try {
    await commit(hs, group);
    groups.inc({ outcome: "committed" });
    groupSize.observe(pending.length);
  } catch (error) {
    for (const { stream, writes } of group.byStream) stream.failed?.(hs, writes);
    const lost = isDatabaseAway(error);
    groups.inc({ outcome: lost ? "lost" : "refused" });
    if (isDeadlock(error) && tries > 1) return await commitGroup(hs, pending, tries - 1);
    const half = cutNear(pending, Math.ceil(pending.length / 2));
    if (half === pending.length || lost) {
      for (const it of pending) it.reject(error);
      return;
    }
    await commitGroup(hs, pending.slice(0, half));
    await commitGroup(hs, pending.slice(half));
  }
}

async function commit(hs: Homeserver, group: Group): Promise<void> {
  if (isDoubtful(hs)) await saySeen(hs);
  for (const { stream, writes } of group.byStream) await stream.prepare?.(hs, writes);
  const settled = tailOf(hs).expectOwn();
  try {
    settle(hs, (await commitAtOnce(hs, group)) ?? (await commitInLane(hs, group)));
  } finally {
    settled();
  }
}

/** Commits a group by a transaction that holds the lane, and asks there what only that makes true. */
async function commitInLane(hs: Homeserver, group: Group): Promise<Committed> {
  // The lane is taken with the first statement and left at the end: no lock is ever taken before it by
  // a transaction that takes it, so groups of several processes cannot wait for each other.
  const { told, ...committed } = await hs.lane.transaction(async (lane) => {
    const move = written`
      update positions set position = position + ${group.total} where id = 1 returning position`;
    const taken = lane<{ position: Position; told: string | null }[]>(
      ...new OneStatement(lane).between(move, tellOthers(hs)),
    );
    const [[counter], ...looked] = await Promise.all([
      taken,
      ...group.byStream.map(async ({ stream, writes }) => await stream.look?.(hs, lane, writes)),
    ]);
    if (!counter) throw new Error("the table of positions is empty: the database is not migrated");

    const before = counter.position - group.total;
    const parts = placeGroup(group, before);
    const outcomes = await Promise.all(
      parts.map(async (it, index) => await it.stream.store(hs, lane, it.placed, looked[index])),
    );
    return { parts, outcomes, before, upTo: counter.position, told: counter.told };
  });
  noteStanding(hs, { position: committed.upTo, isAlone: told === null });
  return committed;
}

/** Says what has become of a group that is durable. Never throws: what fails now must not have it stored again. */
function settle(hs: Homeserver, { parts, outcomes, before, upTo }: Committed): void {
  const changes: Change[] = [];
  for (const [index, part] of parts.entries()) {
    noteCommitted(hs, part, upTo);
    for (const outcome of outcomes[index] ?? []) if (outcome.ok) changes.push(...outcome.changes);
  }
  changes.sort((a, b) => a.position - b.position);

  const answer = () => {
    for (const [index, { its }] of parts.entries()) {
      for (const [at, it] of its.entries()) answerOne(it, outcomes[index]?.[at]);
    }
  };
  // Whoever reads after its write has returned must find it, so the tail comes first. If another
  // process has written meanwhile, that takes a query, for which the next group does not wait.
  const known = tailOf(hs).append(before, upTo, changes);
  if (known) void known.then(answer, answer);
  else answer();
}

function noteCommitted(hs: Homeserver, { stream, placed }: Part, upTo: Position): void {
  // The answer of the database may come after news of what others have written on top of it.
  let isTrue = tailOf(hs).position <= upTo;
  try {
    stream.committed?.(hs, placed);
  } catch (error) {
    hs.log.error({ err: error, stream: stream.name }, "what was committed was not taken note of");
    isTrue = false;
  }
  if (isTrue) return;
  stream.failed?.(
    hs,
    placed.map((it) => it.write),
  );
}

function answerOne(it: Pending, outcome: Outcome<unknown> | undefined): void {
  if (outcome?.ok) it.resolve(outcome.result);
  else it.reject(outcome?.error ?? new Error("a stream left a write without an outcome"));
}

import { Counter, Histogram } from "prom-client";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";
import type { Position } from "#src/homeserver/position.ts";
import { isConnectionError } from "#src/homeserver/resilient-sql.ts";
import { ALIVE_SECONDS, processIdOf } from "./presence.ts";
import type { Change, Outcome, Placed, Stream } from "./stream.ts";
import { tailOf } from "./tail.ts";

/** A write that waits, and who waits for it. */
export type Pending = {
  readonly stream: Stream<unknown, unknown>;
  readonly write: unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
};

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

/** The channel of PostgreSQL's `NOTIFY` that says how far the streams have come. */
export const CHANNEL = "archipel_streams";

/**
 * Commits a group of writes in one transaction, and settles each. Never throws.
 *
 * If the database refuses the group, its halves are tried, so that in the end only the write at fault fails.
 * If the connection is lost, all fail: the group may be durable or not, so nothing is tried again.
 */
export async function commitGroup(hs: Homeserver, group: readonly Pending[]): Promise<void> {
  const byStream = [...Map.groupBy(group, (it) => it.stream)];
  try {
    await commit(hs, byStream);
    groups.inc({ outcome: "committed" });
    groupSize.observe(group.length);
  } catch (error) {
    for (const [stream, its] of byStream) {
      stream.failed?.(
        hs,
        its.map((it) => it.write),
      );
    }
    const lost = isConnectionError(error);
    groups.inc({ outcome: lost ? "lost" : "refused" });
    if (group.length === 1 || lost) {
      for (const it of group) it.reject(error);
      return;
    }
    const half = Math.ceil(group.length / 2);
    await commitGroup(hs, group.slice(0, half));
    await commitGroup(hs, group.slice(half));
  }
}

type Part = {
  readonly stream: Stream<unknown, unknown>;
  readonly its: readonly Pending[];
  readonly placed: readonly Placed<unknown>[];
};

async function commit(
  hs: Homeserver,
  byStream: readonly (readonly [Stream<unknown, unknown>, readonly Pending[]])[],
): Promise<void> {
  for (const [stream, its] of byStream) {
    await stream.prepare?.(
      hs,
      its.map((it) => it.write),
    );
  }
  const needed = byStream.map(([stream, its]) =>
    its.map((it) => stream.positionsFor?.(it.write) ?? 1),
  );
  const total = needed.flat().reduce((sum, n) => sum + n, 0);

  const settled = tailOf(hs).expectOwn();
  try {
    const { parts, outcomes, range } = await inLane(hs, byStream, { needed, total });
    settle(hs, parts, outcomes, range);
  } finally {
    settled();
  }
}

/** The transaction itself. */
async function inLane(
  hs: Homeserver,
  byStream: readonly (readonly [Stream<unknown, unknown>, readonly Pending[]])[],
  { needed, total }: { needed: readonly (readonly number[])[]; total: number },
) {
  // The lane is taken with the first statement and left at the end: no lock is ever taken before it by
  // a transaction that takes it, so groups of several processes cannot wait for each other.
  return await hs.lane.transaction(async (lane) => {
    const taken = lane<{ position: Position }[]>`
      with moved as (
        update positions set position = position + ${total} where id = 1 returning position
      )
      select position, case when exists (
        select 1 from processes
        where process_id <> ${processIdOf(hs)} and seen_at > now() - ${ALIVE_SECONDS} * interval '1 second'
      ) then pg_notify(${CHANNEL}, position::text)::text end from moved`;
    const [[counter], ...looked] = await Promise.all([
      taken,
      ...byStream.map(
        async ([stream, its]) =>
          await stream.look?.(
            hs,
            lane,
            its.map((it) => it.write),
          ),
      ),
    ]);
    if (!counter) throw new Error("the table of positions is empty: the database is not migrated");

    const before = counter.position - total;
    const placed = place(byStream, needed, before);
    const stored = await Promise.all(
      placed.map(async (it, index) => await it.stream.store(hs, lane, it.placed, looked[index])),
    );
    return { parts: placed, outcomes: stored, range: { before, upTo: counter.position } };
  });
}

function place(
  byStream: readonly (readonly [Stream<unknown, unknown>, readonly Pending[]])[],
  needed: readonly (readonly number[])[],
  before: Position,
): Part[] {
  let next = before + 1;
  return byStream.map(([stream, its], index) => {
    const placed = its.map((it, at) => {
      const position = next;
      next += needed[index]?.[at] ?? 1;
      return { write: it.write, position };
    });
    return { stream, its, placed };
  });
}

function settle(
  hs: Homeserver,
  parts: readonly Part[],
  outcomes: readonly (readonly Outcome<unknown>[])[],
  { before, upTo }: { before: Position; upTo: Position },
): void {
  const changes: Change[] = [];
  for (const [index, { stream, placed }] of parts.entries()) {
    stream.committed?.(hs, placed);
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

function answerOne(it: Pending, outcome: Outcome<unknown> | undefined): void {
  if (outcome?.ok) it.resolve(outcome.result);
  else it.reject(outcome?.error ?? new Error("a stream left a write without an outcome"));
}

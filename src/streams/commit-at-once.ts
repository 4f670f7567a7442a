import { Counter } from "prom-client";
import { isConnectionError } from "#src/homeserver/connection-errors.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";
import { NotAtOnce, OneStatement, written } from "#src/homeserver/one-statement.ts";
import type { Position } from "#src/homeserver/position.ts";
import { type Committed, type Group, placeGroup } from "./group.ts";
import { tellOthers } from "./presence.ts";
import { tailOf } from "./tail.ts";

const repeated = new Counter({
  name: "archipel_write_groups_repeated_total",
  help: "Groups of writes that one statement was to store and could not: they were then stored by a transaction.",
  registers: [registry],
});

/** How things stood when this process had written last. */
type Standing = {
  /** How far the streams had come; undefined if nobody knows. */
  position: Position | undefined;
  /** Whether no other process was there. */
  isAlone: boolean;
};

const standingOf = held((): Standing => ({ position: undefined, isAlone: false }));

/** Notes how things stood at the end of a group, which says how the next may be committed. */
export function noteStanding(hs: Homeserver, standing: Standing): void {
  Object.assign(standingOf(hs), standing);
}

/**
 * Commits a group by one statement, if that can be: when no other process writes, and all that its streams need is in
 * memory. The statement itself sees whether what was taken for true is: it fails where the streams, or a
 * room's head, have moved on, or where a transaction ID has been used.
 *
 * @returns undefined if it was not stored and has to be committed by a transaction.
 * @throws if the connection is lost: then nobody knows.
 */
export async function commitAtOnce(hs: Homeserver, group: Group): Promise<Committed | undefined> {
  const { position: before, isAlone } = standingOf(hs);
  if (before === undefined || !isAlone) return undefined;
  // What others have written until then may not have been heard of yet.
  if (tailOf(hs).position !== before) return undefined;
  const recalled = group.byStream.map(({ stream, writes }) => stream.recall?.(hs, writes));
  if (recalled.includes(undefined)) return undefined;
  const parts = placeGroup(group, before);
  const upTo = before + group.total;
  try {
    const [outcomes, told] = await hs.lane.statement(async (sql) => {
      const one = new OneStatement(sql);
      const stored = await Promise.all(
        parts.map(
          async ({ stream, placed }, index) =>
            await stream.store(hs, one.tx, placed, recalled[index]),
        ),
      );
      const [row] = await sql<{ told: string | null }[]>(
        ...one.between(
          written`
            update positions set position = case when position = ${before} then ${upTo}
              else ('the streams have moved on to ' || position)::bigint end
            where id = 1 returning position`,
          tellOthers(hs),
        ),
      );
      return [stored, row?.told] as const;
    });
    noteStanding(hs, { position: upTo, isAlone: told === null });
    return { parts, outcomes, before, upTo };
  } catch (error) {
    if (error instanceof NotAtOnce) return undefined;
    noteStanding(hs, { position: undefined, isAlone: false });
    if (isConnectionError(error)) throw error;
    repeated.inc();
    return undefined;
  }
}

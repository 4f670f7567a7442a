import { randomUUID } from "node:crypto";
import { ALIVE_SECONDS, countAlive } from "#src/homeserver/count-alive.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Written, written } from "#src/homeserver/one-statement.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import { NewerSchemaError, OWN_SCHEMA } from "#src/homeserver/schema-version.ts";

/** This process, among those on the database. */
export const processIdOf = held(() => randomUUID());

/** The channel of PostgreSQL's `NOTIFY` that says how far the streams have come. */
export const CHANNEL = "archipel_streams";

const SEEN_EVERY_MS = 15_000;

/** Whoever has not said so for this long stood still: by now others may take it for gone. */
const DOUBTFUL_MS = (ALIVE_SECONDS * 1000) / 2;

export type PresenceOptions = {
  /** Told that a newer version has changed the tables: this process must end. */
  readonly onFatal: (cause: Error) => void;
  readonly everyMs?: number;
};

/**
 * Says that this process is there, so that others tell it what they write: a commit that nobody
 * else follows goes without a `NOTIFY`, which costs it a tenth. And so that no newer version changes the tables meanwhile:
 * should that have taken it for gone, as it stood still, it ends.
 *
 * @returns what takes it back.
 * @throws NewerSchemaError
 */
export async function bePresent(
  hs: Homeserver,
  { onFatal, everyMs = SEEN_EVERY_MS }: PresenceOptions,
): Promise<() => Promise<void>> {
  // Nobody is told anything on a database that one process has for itself.
  hs.bus.onAdvance(() => {
    const processes = processesOf(hs);
    if (processes.alive === 1) processes.alive = 2;
  });
  await saySeen(hs);
  await hs.sql`delete from processes where seen_at < now() - ${10 * ALIVE_SECONDS} * interval '1 second'`;
  const timer = setInterval(() => {
    saySeen(hs).catch((error: unknown) => {
      if (error instanceof NewerSchemaError) {
        clearInterval(timer);
        onFatal(error);
      } else if (!hs.stopping.aborted) {
        hs.log.warn({ err: error }, "cannot say that this process is there");
      }
    });
  }, everyMs);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await hs.sql`delete from processes where process_id = ${processIdOf(hs)}`.catch(() => {});
  };
}

type Processes = {
  alive: number;
  /** When this process was last seen; undefined while it has not said that it is there. */
  seenMs: UnixMs | undefined;
  /** Those that seemed to be alive before this one was there. Of two that start at once one at most was there before the other. */
  before: readonly string[];
};

const processesOf = held((): Processes => ({ alive: 1, seenMs: undefined, before: [] }));

/** How many processes are alive on the database, as this one has last seen; itself included. */
export function processesAlive(hs: Homeserver): number {
  return processesOf(hs).alive;
}

/** The processes that seemed to be alive on the database when this one came. One may just have died. */
export function processesBefore(hs: Homeserver): readonly string[] {
  return processesOf(hs).before;
}

/** Whether this process has stood still, or its clock was set, so that it is to make sure of its tables before it writes. */
export function isDoubtful(hs: Homeserver): boolean {
  const { seenMs } = processesOf(hs);
  return seenMs !== undefined && Math.abs(hs.now() - seenMs) > DOUBTFUL_MS;
}

/**
 * Says that this process is there; and if others may not know it, or may take it for gone, to those as well: so they know at once
 * that they are not alone.
 *
 * @throws NewerSchemaError
 */
export async function saySeen(hs: Homeserver): Promise<void> {
  const isNews = processesOf(hs).seenMs === undefined || isDoubtful(hs);
  const [seen] = await hs.sql<{ others: string[] }[]>`
    insert into processes (process_id, seen_at)
    select ${processIdOf(hs)}, now() where not exists (
      select from drizzle.__drizzle_migrations where created_at > ${OWN_SCHEMA}::bigint)
    on conflict (process_id) do update set seen_at = excluded.seen_at
    returning array(
      select process_id from processes
      where process_id <> ${processIdOf(hs)} and seen_at > now() - ${ALIVE_SECONDS} * interval '1 second'
    ) as others`;
  if (!seen) throw new NewerSchemaError();
  const processes = processesOf(hs);
  if (processes.seenMs === undefined) processes.before = seen.others;
  processes.seenMs = hs.now();
  processes.alive = Math.max(1, await countAlive(hs.sql));
  if (isNews && processes.alive > 1) {
    await hs.sql`select pg_notify(${CHANNEL}, position::text) from positions where id = 1`;
  }
}

/** Tells the other processes, if there are any, of the position that `first` has come to; `told` is null if there are none. */
export function tellOthers(hs: Homeserver): Written {
  return written`
    select position, case when exists (
      select from processes
      where process_id <> ${processIdOf(hs)} and seen_at > now() - ${ALIVE_SECONDS} * interval '1 second'
    ) then pg_notify(${CHANNEL}, position::text)::text end as told from first`;
}

import { randomUUID } from "node:crypto";
import { ALIVE_SECONDS, countAlive } from "#src/homeserver/count-alive.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Written, written } from "#src/homeserver/one-statement.ts";

/** This process, among those on the database. */
export const processIdOf = held(() => randomUUID());

/** The channel of PostgreSQL's `NOTIFY` that says how far the streams have come. */
export const CHANNEL = "archipel_streams";

const SEEN_EVERY_MS = 15_000;

/**
 * Says that this process is there, so that others tell it what they write: a commit that nobody
 * else follows goes without a `NOTIFY`, which costs it a tenth.
 *
 * @returns what takes it back.
 */
export async function bePresent(hs: Homeserver): Promise<() => Promise<void>> {
  // Nobody is told anything on a database that one process has for itself.
  hs.bus.onAdvance(() => {
    const processes = processesOf(hs);
    if (processes.alive === 1) processes.alive = 2;
  });
  await saySeen(hs);
  // So that those who are there know at once that they are not alone any more.
  if (processesAlive(hs) > 1) {
    await hs.sql`select pg_notify(${CHANNEL}, position::text) from positions where id = 1`;
  }
  await hs.sql`delete from processes where seen_at < now() - ${10 * ALIVE_SECONDS} * interval '1 second'`;
  const timer = setInterval(() => {
    saySeen(hs).catch((error: unknown) => {
      if (!hs.stopping.aborted) {
        hs.log.warn({ err: error }, "cannot say that this process is there");
      }
    });
  }, SEEN_EVERY_MS);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await hs.sql`delete from processes where process_id = ${processIdOf(hs)}`.catch(() => {});
  };
}

const processesOf = held(() => ({ alive: 1 }));

/** How many processes are alive on the database, as this one has last seen; itself included. */
export function processesAlive(hs: Homeserver): number {
  return processesOf(hs).alive;
}

async function saySeen(hs: Homeserver): Promise<void> {
  await hs.sql`
    insert into processes (process_id, seen_at) values (${processIdOf(hs)}, now())
    on conflict (process_id) do update set seen_at = excluded.seen_at`;
  processesOf(hs).alive = Math.max(1, await countAlive(hs.sql));
}

/** Tells the other processes, if there are any, of the position that `first` has come to; `told` is null if there are none. */
export function tellOthers(hs: Homeserver): Written {
  return written`
    select position, case when exists (
      select from processes
      where process_id <> ${processIdOf(hs)} and seen_at > now() - ${ALIVE_SECONDS} * interval '1 second'
    ) then pg_notify(${CHANNEL}, position::text)::text end as told from first`;
}

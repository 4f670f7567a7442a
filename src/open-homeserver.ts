import type { Logger } from "pino";
import type { Config } from "#src/config/config.ts";
import { openDatabase } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { openSigningKey } from "#src/homeserver/signing-key.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { followInMemory } from "#src/rooms/follow-in-memory.ts";
import { openPostgresBus } from "#src/streams/postgres-bus.ts";
import { tailOf } from "#src/streams/tail.ts";
import { STREAMS } from "./roles.ts";

export type OpenHomeserver = {
  readonly hs: Homeserver;
  /** Stops what follows the streams, then lets go of the database. */
  close(): Promise<void>;
};

/**
 * Opens everything that a process of a homeserver holds, on a database that has been migrated, and
 * begins to follow the streams. Nothing listens yet.
 */
export async function openHomeserver(
  config: Config,
  { databaseUrl, log }: { databaseUrl: string; log: Logger },
): Promise<OpenHomeserver> {
  const database = openDatabase({
    url: databaseUrl,
    maxConnections: config.database.maxConnections,
  });
  const bus = await openPostgresBus(databaseUrl, log);
  const stopping = new AbortController();
  const hs: Homeserver = {
    name: config.serverName as ServerName,
    config,
    sql: database.sql,
    lane: database.lane,
    bus,
    signingKey: await openSigningKey(database.sql, Date.now()),
    log,
    now: Date.now,
    stopping: stopping.signal,
  };
  followInMemory(hs);
  await tailOf(hs).start(STREAMS);
  return {
    hs,
    async close() {
      stopping.abort();
      await bus.close();
      await database.close();
    },
  };
}

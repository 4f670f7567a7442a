import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { remotesOf } from "#federation/client/remotes.ts";
import { verifyKeysOfMany } from "#federation/keys/verify-keys.ts";
import type { Config } from "#src/config/config.ts";
import { openDatabase } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Remotes } from "#src/homeserver/remotes.ts";
import { openSigningKey } from "#src/homeserver/signing-key.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { followInMemory } from "#src/rooms/follow-in-memory.ts";
import { followSticky } from "#src/rooms/sticky/keep-sticky.ts";
import { openPostgresBus } from "#src/streams/postgres-bus.ts";
import { bePresent } from "#src/streams/presence.ts";
import { tailOf } from "#src/streams/tail.ts";
import { requireServerName } from "#src/users/require-server-name.ts";
import { clearUpAfterKilled } from "./clear-up-after-killed.ts";
import { STREAMS } from "./roles.ts";

/** How long work may take to end when the homeserver stops. */
const GRACE_MS = 5_000;

export type OpenOptions = {
  readonly databaseUrl: string;
  readonly log: Logger;
  /** Told when the homeserver cannot go on. */
  readonly onFatal?: (cause: Error) => void;
};

export type OpenHomeserver = {
  readonly hs: Homeserver;
  /** Says that the homeserver stops: whoever waits for news is answered at once. */
  beginToStop(): void;
  /** Has `close` wait for work that ends when the homeserver stops, and still needs the database for that. */
  until(work: Promise<void>): void;
  /** Stops what follows the streams and all work, then lets go of the database. */
  close(): Promise<void>;
};

/**
 * Opens everything that a process of a homeserver holds, on a database that has been migrated, and
 * begins to follow the streams. Nothing listens yet.
 */
export async function openHomeserver(
  config: Config,
  { databaseUrl, log, onFatal = () => {} }: OpenOptions,
): Promise<OpenHomeserver> {
  const database = openDatabase({
    url: databaseUrl,
    maxConnections: config.database.maxConnections,
  });
  await requireServerName(database.sql, config.serverName);
  await clearUpAfterKilled(database.sql);
  const bus = await openPostgresBus(databaseUrl, log);
  const stopping = new AbortController();
  const signingKey = await openSigningKey(database.sql, Date.now, { log });
  const hs: Homeserver = {
    name: config.serverName as ServerName,
    config,
    sql: database.sql,
    lane: database.lane,
    bus,
    // Read each time: there may be a new key.
    get signingKey() {
      return signingKey.current();
    },
    // Made of what it is part of.
    get remotes() {
      return remotes;
    },
    log,
    now: Date.now,
    stopping: stopping.signal,
  };
  const remotes: Remotes = {
    ...remotesOf(hs),
    verifyKeys: async (questions) => await verifyKeysOfMany(hs, questions),
  };
  const leave = await bePresent(hs, { onFatal });
  followInMemory(hs);
  followSticky(hs);
  await tailOf(hs).start(STREAMS);
  const works: Promise<void>[] = [];
  return {
    hs,
    beginToStop: () => stopping.abort(),
    until: (work) => works.push(work),
    async close() {
      stopping.abort();
      signingKey.close();
      await Promise.race([Promise.all(works), sleep(GRACE_MS, undefined, { ref: false })]);
      await leave();
      await bus.close();
      await database.close();
    },
  };
}

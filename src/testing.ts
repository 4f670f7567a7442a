import { setTimeout as sleep } from "node:timers/promises";
import pino from "pino";
import { loadConfig } from "#src/config/load-config.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { createRoom } from "#src/membership/create-room.ts";
import { findRoom, type Room } from "#src/rooms/find-room.ts";
import { userKeyOf } from "#src/rooms/user-keys.ts";
import { processesAlive } from "#src/streams/presence.ts";
import { testDatabase, type TestDatabase } from "#src/testing-database.ts";
import { openHomeserver, type OpenHomeserver } from "./open-homeserver.ts";

/** Homeservers in this process on one database of their own: as many as many processes would be. */
export type TestHomeservers = {
  readonly hs: Homeserver;
  readonly all: readonly Homeserver[];
  readonly database: TestDatabase;
  close(): Promise<void>;
};

/**
 * Opens homeservers for a test, all on one database, each with its own connections and memory.
 *
 * @param variables the configuration, as in the environment.
 * @param work what goes on in each of them until it stops.
 */
export async function testHomeservers(
  count = 1,
  variables: Readonly<Record<string, string>> = {},
  work: (hs: Homeserver) => readonly Promise<void>[] = () => [],
): Promise<TestHomeservers> {
  const database = await testDatabase();
  const config = loadConfig(
    { ARCHIPEL_SERVER_NAME: "test", ARCHIPEL_DATABASE_URL: database.url, ...variables },
    [],
  );
  const opened: OpenHomeserver[] = [];
  for (let index = 0; index < count; index++) {
    const options = { databaseUrl: database.url, log: pino({ level: "silent" }) };
    const one = await openHomeserver(config, options);
    for (const it of work(one.hs)) one.until(it);
    opened.push(one);
  }
  const all = opened.map((it) => it.hs);
  const [hs] = all;
  if (!hs) throw new RangeError("a test needs at least one homeserver");
  // It hears of the others a moment after they have come: until then it does not look what they have done.
  while (all.length > 1 && processesAlive(hs) === 1) await sleep(5);
  return {
    hs,
    all,
    database,
    async close() {
      for (const it of opened) await it.close();
      await database.drop();
    },
  };
}

/** A local user, as far as rooms are concerned: one with a key. */
export async function testUser(hs: Homeserver, localpart: string): Promise<Requester> {
  const userId: UserId = `@${localpart}:${hs.name}`;
  return {
    userId,
    userKey: await userKeyOf(hs, userId),
    deviceId: "TEST",
    deviceKey: 0,
    isAdmin: false,
    isGuest: false,
  };
}

/** A room that a user makes. */
export async function testRoom(
  hs: Homeserver,
  creator: Requester,
  request: Parameters<typeof createRoom>[2] = {},
): Promise<Room> {
  const room = await findRoom(hs, await createRoom(hs, creator, request));
  if (!room) throw new Error("a room that was created is not there");
  return room;
}

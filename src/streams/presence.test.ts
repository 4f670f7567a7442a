import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { NewerSchemaError, OWN_SCHEMA } from "#src/homeserver/schema-version.ts";
import type { Requester } from "#src/kit/requester.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { testHomeservers, type TestHomeservers, testRoom, testUser } from "#src/testing.ts";
import { bePresent, processesAlive, processIdOf, saySeen } from "./presence.ts";

let servers: TestHomeservers;
let hs: Homeserver;
let user: Requester;
let room: Room;

beforeAll(async () => {
  servers = await testHomeservers();
  hs = servers.hs;
  user = await testUser(hs, "alice");
  room = await testRoom(hs, user);
});
afterAll(async () => await servers.close());
beforeEach(async () => {
  await hs.sql`delete from drizzle.__drizzle_migrations where hash = 'newer'`;
});

/** Changes the tables as a newer version does once it takes all others for gone. */
async function migrateFurther(): Promise<void> {
  await hs.sql`
    insert into drizzle.__drizzle_migrations (hash, created_at) values ('newer', ${OWN_SCHEMA + 1})`;
}

const say = async (body: string) =>
  await sendEvent(hs, {
    room,
    sender: user,
    draft: { type: "m.room.message", content: { msgtype: "m.text", body } },
  });

test("a process under which a newer version has changed the tables ends", async () => {
  const { promise, resolve } = Promise.withResolvers<Error>();
  const leave = await bePresent(hs, { onFatal: resolve, everyMs: 50 });
  await migrateFurther();
  expect(await promise).toBeInstanceOf(NewerSchemaError);
  await expect(bePresent(hs, { onFatal: resolve })).rejects.toThrow(NewerSchemaError);
  await leave();
});

test("a process that has stood still writes nothing before it knows that the tables are its own", async () => {
  await expect(say("before")).resolves.toBeDefined();
  const { now } = hs;
  Object.assign(hs, { now: () => now() + 31_000 });
  await expect(say("awake")).resolves.toBeDefined();
  await migrateFurther();
  Object.assign(hs, { now: () => now() + 62_000 });
  await expect(say("too late")).rejects.toThrow(NewerSchemaError);
  Object.assign(hs, { now });
});

test("those who took a process for gone that stood still hear of it before it writes", async () => {
  const two = await testHomeservers(2);
  const [still, other] = two.all as [Homeserver, Homeserver];
  await two.database.sql`
    update processes set seen_at = now() - interval '2 minutes'
    where process_id = ${processIdOf(still)}`;
  const alive = async () => {
    await saySeen(other);
    return processesAlive(other);
  };
  // It may hear only now of how the two began.
  await expect.poll(alive).toBe(1);
  const { now } = still;
  Object.assign(still, { now: () => now() + 120_000 });
  await saySeen(still);
  await expect.poll(() => processesAlive(other)).toBe(2);
  await two.close();
});

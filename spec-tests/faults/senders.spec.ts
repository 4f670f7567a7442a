import { afterAll, describe, expect, test } from "vitest";
import { testDatabase, type TestDatabase } from "#src/testing-database.ts";
import { type HomeserverUnderTest, isOutside, startHomeserver } from "../homeserver-under-test.ts";
import { demand } from "./call.ts";
import { faultsOfChain, idsOf, pdusOf, type Read, walkRoom } from "./walk-room.ts";

const SENDERS = 64;
const MESSAGES_EACH = 8;

const servers: HomeserverUnderTest[] = [];
const databases: TestDatabase[] = [];

afterAll(async () => {
  await Promise.all(servers.map(async (it) => await it.dispose()));
  for (const database of databases) await database.drop();
});

/** Starts servers on one database. @returns where they are */
async function startProcesses(count: number): Promise<string[]> {
  const database = await testDatabase();
  databases.push(database);
  const urls: string[] = [];
  for (let index = 0; index < count; index++) {
    const server = await startHomeserver({ env: { DATABASE_URL: database.url } });
    servers.push(server);
    urls.push(server.url);
  }
  return urls;
}

describe.skipIf(isOutside)("64 who send to one room at once", () => {
  test.each([1, 3])(
    "make one chain, through %i processes on one database",
    async (processes) => {
      const urls = await startProcesses(processes);
      const urlOf = (index: number) => urls[index % urls.length] ?? "";
      const users = await Promise.all(
        Array.from({ length: SENDERS }, async (_, index) => {
          const server = servers.find((it) => it.url === urlOf(index));
          if (!server) throw new Error("a server is not there");
          return await server.registerUser("sender");
        }),
      );
      const [owner] = users;
      if (!owner) throw new Error("nobody sends");
      const roomId = await owner.createRoom({ preset: "public_chat" });
      const room = encodeURIComponent(roomId);
      const joined = users.map(async ({ accessToken: token }, index) => {
        const path = `/v3/join/${room}`;
        await demand(urlOf(index), { method: "POST", path, token, body: {} });
      });
      await Promise.all(joined);

      const sent = await Promise.all(
        users.map(async ({ accessToken: token }, index) => {
          const ids: string[] = [];
          for (let count = 0; count < MESSAGES_EACH; count++) {
            const path = `/v3/rooms/${room}/send/m.room.message/${count}`;
            const body = { msgtype: "m.text", body: `${count}` };
            // Whoever sends does not stay with one process.
            const url = urlOf(index + count);
            ids.push((await demand(url, { method: "PUT", path, token, body })).event_id);
          }
          return ids;
        }),
      );

      for (const url of urls) {
        const read: Read = async (path) =>
          await demand(url, { method: "GET", path, token: owner.accessToken });
        const eventIds = idsOf(await walkRoom(read, roomId, { direction: "f", limit: () => 100 }));
        const places = new Map(eventIds.map((it, index) => [it, index]));
        expect(places.size).toBe(eventIds.length);
        expect(faultsOfChain(eventIds, await pdusOf(read, roomId))).toEqual([]);
        for (const ids of sent) {
          // Each one's messages are there, in their order.
          const own = ids.map((it) => places.get(it) ?? -1);
          expect(own).toEqual(own.toSorted((a, b) => a - b));
          expect(own[0]).toBeGreaterThan(0);
        }
      }
    },
    120_000,
  );
});

import { afterAll, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { misjudgedRoom } from "#src/rooms/partial/testing-misjudged.ts";
import { tailOf } from "#src/streams/tail.ts";
import { testHomeservers, testUser } from "#src/testing.ts";
import { unreadCounts } from "./unread-counts.ts";

const servers = await testHomeservers(2);
afterAll(async () => await servers.close());
const [hs, other] = servers.all as [Homeserver, Homeserver];

test("what turns out to be no part of a room is unread no more, in any process", async () => {
  const { room, complete } = await misjudgedRoom(hs);
  const local = await testUser(hs, "local");
  const counts = async (at: Homeserver) => {
    await tailOf(at).catchUp();
    const all = await unreadCounts(at, local, new Map([[room.roomKey, room.roomId]]));
    return Object.fromEntries(all.get(room.roomKey) ?? []);
  };
  const strays = { main: { notify: 1, highlight: 1 } };
  for (const at of [hs, other]) expect(await counts(at)).toEqual(strays);
  await complete();
  for (const at of [hs, other]) expect(await counts(at)).toEqual({});
});

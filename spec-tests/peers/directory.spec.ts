import { beforeAll, describe, expect, test } from "vitest";
import { lacksPair, sharedPair } from "./pair.ts";
import {
  E,
  eventually,
  expectRefusal,
  type Person,
  personAt,
  textsOf,
  WITH_TIME,
} from "./person.ts";

type PublicRooms = {
  readonly chunk: readonly { room_id: string; name?: string; num_joined_members: number }[];
};

describe.skipIf(await lacksPair()).each(["ours", "synapse"] as const)(
  "what is on %s is found from the other",
  { timeout: WITH_TIME },
  (there) => {
    let owner: Person;
    let guest: Person;

    beforeAll(async () => {
      const pair = await sharedPair();
      [owner, guest] = await Promise.all([
        personAt(pair[there], "owner"),
        personAt(pair[there === "ours" ? "synapse" : "ours"], "guest"),
      ]);
    }, WITH_TIME);

    test("a room by its alias, until the alias goes", async () => {
      const roomId = await owner.createRoom({ preset: "public_chat" });
      const alias = `#one-${owner.localpart}:${owner.home.serverName}`;
      const path = `/v3/directory/room/${E(alias)}`;
      expect(await guest.call("GET", path)).toMatchObject({ status: 404 });
      await owner.does("PUT", path, { room_id: roomId });
      const found = await guest.does("GET", path);
      expect(found.room_id).toBe(roomId);
      expect(found.servers).toContain(owner.home.serverName);
      await owner.does("DELETE", path);
      expect(await guest.call("GET", path)).toMatchObject({ status: 404 });
    });

    test("public rooms, by what is searched for", async () => {
      const name = `Lighthouse ${owner.localpart}`;
      const roomId = await owner.createRoom({ preset: "public_chat", visibility: "public", name });
      const path = `/v3/publicRooms?server=${E(owner.home.serverName)}`;
      await eventually(async () => {
        const filter = { generic_search_term: name };
        const { chunk } = await guest.does<PublicRooms>("POST", path, { limit: 10, filter });
        return chunk.map((it) => [it.room_id, it.name, it.num_joined_members]);
      }, [[roomId, name, 1]]);
      const all = await guest.does<PublicRooms>("GET", `${path}&limit=500`);
      expect(all.chunk.map((it) => it.room_id)).toContain(roomId);
    });

    test("the rooms of a space, but for those that one may not see", async () => {
      const via = [owner.home.serverName];
      const space = await owner.createRoom({
        preset: "public_chat",
        creation_content: { type: "m.space" },
        name: "Fleet",
      });
      const inner = await owner.createRoom({
        preset: "public_chat",
        creation_content: { type: "m.space" },
        name: "Yard",
      });
      const open = await owner.createRoom({ preset: "public_chat", name: "Open" });
      const closed = await owner.createRoom({ preset: "private_chat", name: "Closed" });
      for (const child of [inner, closed]) {
        await owner.setState(space, "m.space.child", { via }, child);
      }
      await owner.setState(inner, "m.space.child", { via }, open);
      const path = `/v1/rooms/${E(space)}/hierarchy`;
      const found = async () => {
        const { rooms } = await guest.does<{ rooms: { name: string }[] }>("GET", path);
        return rooms.map((it) => it.name).toSorted();
      };
      // Before the guest's server is in the space it cannot know where the space is.
      await guest.join(space, owner.home);
      await eventually(found, ["Fleet", "Open", "Yard"]);
    });

    test("nobody whom a room's access control list denies", async () => {
      const roomId = await owner.createRoom({ preset: "public_chat" });
      await guest.join(roomId, owner.home);
      await eventually(async () => await owner.membershipOf(guest, roomId), "join");
      await guest.say(roomId, "while I may");
      const acl = {
        allow: ["*"],
        allow_ip_literals: true,
        deny: [guest.home.serverName.replace(/:\d+$/, "")],
      };
      await eventually(async () => textsOf(await owner.newest(roomId)), ["while I may"]);
      await owner.setState(roomId, "m.room.server_acl", acl);
      await owner.say(roomId, "among us");
      await guest.say(roomId, "when I may not");
      // A member of both servers is a messenger that what was sent before has come.
      const other = await owner.createRoom({ preset: "public_chat" });
      await guest.join(other, owner.home);
      await guest.say(other, "afterwards");
      await eventually(async () => textsOf(await owner.newest(other)), ["afterwards"]);
      expect(textsOf(await owner.newest(roomId))).toEqual(["while I may", "among us"]);
      const newcomer = await personAt(guest.home, "newcomer");
      const fresh = await owner.createRoom({ preset: "public_chat" });
      await owner.setState(fresh, "m.room.server_acl", acl);
      const path = `/v3/join/${E(fresh)}?via=${E(owner.home.serverName)}`;
      expectRefusal(await newcomer.call("POST", path, {}), "M_FORBIDDEN");
    });
  },
);

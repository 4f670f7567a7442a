import { beforeEach, describe, expect, test } from "vitest";
import { after, LIST, Stage, type User } from "./testing.ts";

const stage = Stage.set();
const room = async (...it: Parameters<Stage["room"]>) => await stage.room(...it);
const act = async (...it: Parameters<Stage["act"]>) => await stage.act(...it);
const sync = async (...it: Parameters<Stage["sync"]>) => await stage.sync(...it);
let alice: User;
let bob: User;
beforeEach(() => ({ alice, bob } = stage));

describe("filters", () => {
  test("keep apart direct, encrypted, tagged, typed and invited rooms, and those of a space", async () => {
    const direct = await room(alice);
    const encryption = {
      type: "m.room.encryption",
      content: { algorithm: "m.megolm.v1.aes-sha2" },
    };
    const encrypted = await room(alice, { initial_state: [encryption] });
    const space = await room(alice, { creation_content: { type: "m.space" } });
    const invited = await room(bob, { invite: [alice.id] });
    await act(alice, "PUT", `user/${alice.id}/account_data/m.direct`, { [bob.id]: [direct] });
    await act(alice, "PUT", `user/${alice.id}/rooms/${direct}/tags/m.favourite`, {});
    await act(alice, "PUT", `rooms/${space}/state/m.space.child/${encrypted}`, { via: ["test"] });
    const matching = async (filters: object) => {
      const { rooms, lists } = await sync(alice, { lists: { it: { ...LIST, filters } } });
      expect(lists?.["it"]?.count).toBe(Object.keys(rooms).length);
      return new Set(Object.keys(rooms));
    };
    expect(await matching({ is_dm: true })).toEqual(new Set([direct]));
    expect(await matching({ is_dm: false })).toEqual(new Set([encrypted, space, invited]));
    expect(await matching({ is_encrypted: true })).toEqual(new Set([encrypted]));
    expect(await matching({ is_invite: true })).toEqual(new Set([invited]));
    expect(await matching({ room_types: ["m.space"] })).toEqual(new Set([space]));
    expect(await matching({ room_types: [null], not_room_types: ["m.space"] })).toEqual(
      new Set([direct, encrypted, invited]),
    );
    expect(await matching({ tags: ["m.favourite"] })).toEqual(new Set([direct]));
    expect(await matching({ not_tags: ["m.favourite"], is_dm: true })).toEqual(new Set());
    expect(await matching({ spaces: [space] })).toEqual(new Set([encrypted]));
    expect(await matching({ spaces: [invited] })).toEqual(new Set());
  });

  test("tell a client that a room has become a direct one", async () => {
    const direct = await room(alice);
    const lists = { all: LIST };
    const first = await sync(alice, { lists });
    expect(first.rooms[direct]?.["is_dm"]).toBeUndefined();
    await act(alice, "PUT", `user/${alice.id}/account_data/m.direct`, { [bob.id]: [direct] });
    const second = await sync(alice, { lists }, after(first));
    expect(second.rooms[direct]).toMatchObject({ is_dm: true });
    expect((await sync(alice, { lists }, after(second))).rooms).toEqual({});
  });
});

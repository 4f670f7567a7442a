import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RoomId } from "#src/kit/identifiers.ts";
import { asking, type Ask, registered } from "#src/testing-http.ts";
import { type FederatedHomeserver, testFederation } from "../testing.ts";

const federation = await testFederation();
let hs1: FederatedHomeserver;
let hs2: FederatedHomeserver;
let onOne: Ask;
let onTwo: Ask;
let alice: string;
let bob: string;

beforeAll(async () => {
  hs1 = await federation.open();
  hs2 = await federation.open({ host: "hs2.test" });
  [onOne, onTwo] = [asking(hs1.hs), asking(hs2.hs)];
  alice = (await registered(onOne, "alice")).access_token;
  bob = (await registered(onTwo, "bob")).access_token;
});
afterAll(async () => await federation.close());

const E = encodeURIComponent;

/** A room of alice's on the first server. */
async function roomOf(further: object = {}): Promise<RoomId> {
  const body = { preset: "public_chat", ...further };
  return (await onOne("POST", "createRoom", { token: alice, body })).body.room_id as RoomId;
}

/** A space of alice's on the first server. */
async function spaceOf(children: readonly string[], further: object = {}): Promise<RoomId> {
  const space = await roomOf({ creation_content: { type: "m.space" }, ...further });
  for (const child of children) await put([onOne, alice], space, child, [hs1.name]);
  return space;
}

async function put([ask, token]: [Ask, string], space: string, child: string, via: string[]) {
  const path = `rooms/${E(space)}/state/m.space.child/${E(child)}`;
  expect((await ask("PUT", path, { token, body: { via } })).status).toBe(200);
}

describe("the rooms of another server", () => {
  test("are listed, found and paged through", async () => {
    const rooms: string[] = [];
    for (const name of ["Apples", "Pears", "Apple pie"]) {
      rooms.push(await roomOf({ visibility: "public", name }));
    }
    const path = `publicRooms?server=${E(hs1.name)}`;
    const all = await onTwo("GET", path);
    expect(all.body.chunk.map((it: { room_id: string }) => it.room_id)).toEqual(rooms);
    expect(all.body).toMatchObject({ total_room_count_estimate: 3 });
    const filter = { generic_search_term: "apple" };
    const found = await onTwo("POST", path, { token: bob, body: { filter, limit: 1 } });
    expect(found.body.chunk).toMatchObject([{ name: "Apples", join_rule: "public" }]);
    const since = found.body.next_batch;
    const next = await onTwo("POST", path, { token: bob, body: { filter, limit: 1, since } });
    expect(next.body.chunk).toMatchObject([{ name: "Apple pie" }]);
    const typed = { filter: { room_types: ["m.space"] } };
    const none = await onTwo("POST", path, { token: bob, body: typed });
    expect(none.body.chunk).toEqual([]);
    // What is asked of ourselves is not asked of others.
    expect((await onTwo("GET", `publicRooms?server=${E(hs2.name)}`)).body.chunk).toEqual([]);
    expect((await onTwo("GET", "publicRooms?server=nowhere.test")).status).toBe(502);
  });
});

describe("a space", () => {
  async function hierarchy(roomId: string, query = "") {
    const path = `/_matrix/client/v1/rooms/${E(roomId)}/hierarchy${query}`;
    type Found = { rooms?: { room_id: string }[]; errcode?: string };
    const { body } = await onTwo<Found>("GET", path, { token: bob });
    return body.rooms?.map((it) => it.room_id) ?? body.errcode;
  }

  async function join(roomId: string) {
    const path = `join/${E(roomId)}?via=${E(hs1.name)}`;
    expect((await onTwo("POST", path, { token: bob, body: {} })).status).toBe(200);
  }

  test("is followed to rooms that only other servers are in", async () => {
    const [deep, open, closed] = [
      await roomOf({ name: "deep" }),
      await roomOf(),
      await roomOf({ preset: "private_chat" }),
    ];
    const inner = await spaceOf([deep]);
    const outer = await spaceOf([inner, closed, open]);
    await join(outer);
    expect(await hierarchy(outer)).toEqual([outer, inner, deep, open]);
    const own = (
      await onTwo("POST", "createRoom", {
        token: bob,
        body: { creation_content: { type: "m.space" } },
      })
    ).body.room_id;
    await put([onTwo, bob], own, inner, [hs1.name]);
    await put([onTwo, bob], own, "!nowhere:hs1.test", [hs1.name, "nowhere.test", "a b"]);
    expect(await hierarchy(own)).toEqual([own, inner, deep]);
    expect(await hierarchy(own, "?max_depth=1")).toEqual([own, inner]);
  });

  test("shows rooms that the members of others may join to those alone", async () => {
    const gate = await roomOf();
    const restricted = await roomOf({
      initial_state: [
        {
          type: "m.room.join_rules",
          content: {
            join_rule: "restricted",
            allow: [{ type: "m.room_membership", room_id: gate }],
          },
        },
      ],
    });
    const space = await spaceOf([restricted]);
    await join(space);
    expect(await hierarchy(space)).toEqual([space]);
    const { remotes } = hs2.hs;
    const told = await remotes.getSpaceHierarchy(hs1.name, { roomId: space });
    expect(told).toMatchObject({
      body: { room: { room_id: space }, children: [], inaccessible_children: [restricted] },
    });
    await join(gate);
    const now = await remotes.getSpaceHierarchy(hs1.name, { roomId: space });
    expect(now).toMatchObject({
      body: { children: [{ room_id: restricted, allowed_room_ids: [gate] }] },
    });
    // That it was refused before is forgotten.
    expect(await hierarchy(space)).toEqual([space, restricted]);
  });

  test("is no other server's to see if it is closed or denies it", async () => {
    const { remotes } = hs2.hs;
    const closed = await spaceOf([], { preset: "private_chat" });
    const denying = await spaceOf([], {
      initial_state: [{ type: "m.room.server_acl", content: { allow: ["*"], deny: ["hs2.test"] } }],
    });
    for (const roomId of [closed, denying, "!nowhere:hs1.test" as RoomId]) {
      const answer = await remotes.getSpaceHierarchy(hs1.name, { roomId });
      expect(answer).toMatchObject({ why: "refused", status: 404, errcode: "M_NOT_FOUND" });
    }
  });
});

test("a token tells another server who a user is", async () => {
  const path = `user/@alice:${hs1.name}/openid/request_token`;
  const { body } = await onOne("POST", path, { token: alice, body: {} });
  const { access_token, matrix_server_name } = body;
  expect(matrix_server_name).toBe(hs1.name);
  const asked = await hs2.hs.remotes.exchangeOpenIdToken(hs1.name, { access_token });
  expect(asked).toEqual({ ok: true, body: { sub: `@alice:${hs1.name}` } });
  const wrong = await hs2.hs.remotes.exchangeOpenIdToken(hs1.name, { access_token: "x" });
  expect(wrong).toMatchObject({ status: 401, errcode: "M_UNKNOWN_TOKEN" });
});

import { describe, expect, test } from "vitest";
import { refusal } from "../client-server/client.ts";
import { joinRoom } from "./peer-room.ts";
import { E, federatingHomeserver, good, openPeer, V1 } from "./peer.ts";
import type { ServerBody } from "./server-answers.ts";

const hs = await federatingHomeserver();
const peer = await openPeer(hs);
const alice = await hs.registerUser("alice");
const ask = async (uri: string) => await peer.ask("GET", `${V1}/${uri}`);

/** @spec server-server-api#get_matrixfederationv1querydirectory */
describe("queryRoomDirectory", () => {
  test("says which room an alias is of, and who is there", async () => {
    const room_alias_name = `query-${alice.localpart}`;
    const roomId = await alice.createRoom({ preset: "public_chat", room_alias_name });
    const uri = `query/directory?room_alias=${E(`#${room_alias_name}:hs.test`)}`;
    expect(good(await ask(uri))).toEqual({ room_id: roomId, servers: ["hs.test"] });
    await joinRoom(peer, roomId, peer.user("bob"));
    expect(good(await ask(uri)).servers.toSorted()).toEqual([peer.name, "hs.test"].toSorted());
  });

  test("knows aliases of this server alone", async () => {
    for (const alias of ["#none:hs.test", "#x:other.test"]) {
      const answer = await ask(`query/directory?room_alias=${E(alias)}`);
      expect(answer).toMatchObject(refusal(404, "M_NOT_FOUND"));
    }
    expect((await ask("query/directory?room_alias=x")).status).toBe(400);
    expect((await ask("query/directory")).status).toBe(400);
  });
});

/** @spec server-server-api#get_matrixfederationv1queryprofile */
describe("queryProfile", () => {
  test("tells who a user is, whole or one field", async () => {
    const path = `/v3/profile/${E(alice.userId)}`;
    await alice.call("PUT", `${path}/displayname`, { displayname: "Alice" });
    await alice.call("PUT", `${path}/avatar_url`, { avatar_url: "mxc://hs.test/face" });
    const uri = `query/profile?user_id=${E(alice.userId)}`;
    expect(good(await ask(uri))).toEqual({
      displayname: "Alice",
      avatar_url: "mxc://hs.test/face",
    });
    expect(good(await ask(`${uri}&field=displayname`))).toEqual({ displayname: "Alice" });
  });

  test("knows users of this server alone", async () => {
    expect(await ask(`query/profile?user_id=${E("@nobody:hs.test")}`)).toMatchObject(
      refusal(404, "M_NOT_FOUND"),
    );
    for (const user of ["@x:other.test", "x"]) {
      expect((await ask(`query/profile?user_id=${E(user)}`)).status).toBeGreaterThanOrEqual(400);
    }
    expect(await ask("query/profile")).toMatchObject(refusal(400, "M_MISSING_PARAM"));
  });
});

/** @spec server-server-api#get_matrixfederationv1queryquerytype */
describe("queryInfo", () => {
  test("has no types but those that the specification names", async () => {
    expect(await ask("query/org.example.type?x=1")).toMatchObject(refusal(404, "M_UNRECOGNIZED"));
  });
});

describe("public rooms", () => {
  const name = `Published ${alice.localpart}`;
  const published = alice.createRoom({ preset: "public_chat", visibility: "public", name });

  /** @spec server-server-api#get_matrixfederationv1publicrooms */
  describe("getPublicRooms", () => {
    test("lists them, in pages", async () => {
      const roomId = await published;
      await alice.createRoom({ preset: "public_chat", visibility: "public", name: `${name} 2` });
      const ids: string[] = [];
      for (let since: string | undefined = ""; since !== undefined;) {
        const from = since && `&since=${E(since)}`;
        const page: ServerBody = good(await ask(`publicRooms?limit=1${from}`));
        expect(page.chunk).toHaveLength(1);
        ids.push(page.chunk[0]?.room_id ?? "");
        since = page.next_batch;
      }
      expect(ids).toContain(roomId);
      expect(new Set(ids).size).toBe(ids.length);
      expect(await ask("publicRooms?limit=x")).toMatchObject({ status: 400 });
      expect(await ask("publicRooms?since=x")).toMatchObject({ status: 400 });
    });
  });

  /** @spec server-server-api#post_matrixfederationv1publicrooms */
  describe("queryPublicRooms", () => {
    const post = async (body: unknown) => await peer.ask("POST", `${V1}/publicRooms`, body);

    test("finds them", async () => {
      const roomId = await published;
      const filter = { generic_search_term: name };
      const { chunk } = good(await post({ limit: 10, filter }));
      expect(chunk.find((it) => it.room_id === roomId)).toMatchObject({
        name,
        num_joined_members: 1,
        world_readable: false,
        guest_can_join: false,
        join_rule: "public",
      });
      const nothing = good(await post({ filter: { generic_search_term: `no ${name}` } }));
      expect(nothing.chunk).toEqual([]);
    });

    test("takes no nonsense", async () => {
      for (const body of [{ limit: "x" }, { filter: 1 }, []]) {
        expect(await post(body)).toMatchObject(refusal(400, "M_BAD_JSON"));
      }
    });
  });
});

/** @spec server-server-api#get_matrixfederationv1hierarchyroomid */
describe("getSpaceHierarchy", () => {
  const space = async (preset: string) =>
    await alice.createRoom({ preset, creation_content: { type: "m.space" }, name: "Space" });
  const via = ["hs.test"];
  const addTo = async (parent: string, child: string, content: object = { via }) =>
    await alice.call("PUT", `/v3/rooms/${E(parent)}/state/m.space.child/${E(child)}`, content);

  test("tells of a space and what is in it, and of what cannot be seen that it is so", async () => {
    const roomId = await space("public_chat");
    const open = await alice.createRoom({ preset: "public_chat", name: "Open" });
    const closed = await alice.createRoom({ preset: "private_chat", name: "Closed" });
    const suggested = await alice.createRoom({ preset: "public_chat", name: "Suggested" });
    for (const child of [open, closed]) await addTo(roomId, child);
    await addTo(roomId, suggested, { via, suggested: true });
    const { room, children, inaccessible_children } = good(await ask(`hierarchy/${E(roomId)}`));
    expect(room).toMatchObject({ room_id: roomId, room_type: "m.space", name: "Space" });
    expect(room.children_state).toHaveLength(3);
    const names = children.map((it) => String(it.name)).toSorted();
    expect(names).toEqual(["Open", "Suggested"]);
    expect(inaccessible_children).toEqual([closed]);
    const few = good(await ask(`hierarchy/${E(roomId)}?suggested_only=true`));
    expect(few.children.map((it) => it.name)).toEqual(["Suggested"]);
  });

  test("knows nothing of what the server cannot see", async () => {
    const hidden = await space("private_chat");
    for (const roomId of [hidden, "!none:hs.test"]) {
      expect(await ask(`hierarchy/${E(roomId)}`)).toMatchObject(refusal(404, "M_NOT_FOUND"));
    }
    expect(await ask("hierarchy/none")).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    const answer = await ask(`hierarchy/${E(hidden)}?suggested_only=perhaps`);
    expect(answer).toMatchObject({ status: 400 });
  });
});

/** @spec server-server-api#get_matrixfederationv1openiduserinfo */
describe("exchangeOpenIdToken", () => {
  const info = async (query: string) => await hs.request("GET", `${V1}/openid/userinfo${query}`);

  test("says whose token it is", async () => {
    const path = `/v3/user/${E(alice.userId)}/openid/request_token`;
    const { access_token } = (await alice.call("POST", path, {})).body;
    expect(good(await info(`?access_token=${E(access_token)}`))).toEqual({ sub: alice.userId });
  });

  test("knows no other tokens", async () => {
    for (const token of ["none", alice.token]) {
      expect(await info(`?access_token=${E(token)}`)).toMatchObject(
        refusal(401, "M_UNKNOWN_TOKEN"),
      );
    }
    expect(await info("")).toMatchObject(refusal(401, "M_MISSING_TOKEN"));
  });
});

import { describe, expect, test } from "vitest";
import { homeserver, refusal, type TestUser } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");

async function room(further: object = {}): Promise<string> {
  return await alice.createRoom({ preset: "public_chat", ...further });
}

async function space(children: readonly string[], further: object = {}): Promise<string> {
  const id = await room({ creation_content: { type: "m.space" }, ...further });
  for (const child of children) await put(id, child);
  return id;
}

async function put(parent: string, child: string, content: object = {}): Promise<void> {
  const path = `/v3/rooms/${parent}/state/m.space.child/${encodeURIComponent(child)}`;
  const answer = await alice.call("PUT", path, { via: ["hs.test"], ...content });
  expect(answer.status).toBe(200);
}

type Hierarchy = {
  readonly next_batch?: string;
  readonly rooms: readonly { readonly room_id: string }[];
};

const pathOf = (roomId: string, query = "") => `/v1/rooms/${roomId}/hierarchy${query}`;

async function hierarchy(user: TestUser, roomId: string, query = "") {
  const { status, body } = await user.call<Hierarchy>("GET", pathOf(roomId, query));
  expect(status).toBe(200);
  return body;
}

const idsOf = ({ rooms }: Hierarchy) => rooms.map((it) => it.room_id);

/** @spec client-server-api#get_matrixclientv1roomsroomidhierarchy */
describe("getSpaceHierarchy", () => {
  test("tells of the rooms in a space and in the spaces in it, each once", async () => {
    const [one, two, deep] = [await room({ name: "one" }), await room(), await room()];
    const inner = await space([deep, one]);
    const outer = await space([one, inner, two]);
    // A circle is no way without an end.
    await put(inner, outer);
    const { rooms, next_batch } = await hierarchy(bob, outer);
    expect(next_batch).toBeUndefined();
    expect(rooms.map((it) => it.room_id)).toEqual([outer, one, inner, deep, two]);
    expect(rooms[0]).toMatchObject({
      room_type: "m.space",
      num_joined_members: 1,
      join_rule: "public",
      children_state: [one, inner, two].map((state_key) => ({
        type: "m.space.child",
        state_key,
        sender: alice.userId,
        content: { via: ["hs.test"] },
      })),
    });
    expect(rooms[1]).toMatchObject({ name: "one", children_state: [] });
    expect(idsOf(await hierarchy(bob, outer, "?max_depth=1"))).toEqual([outer, one, inner, two]);
    expect(idsOf(await hierarchy(bob, outer, "?max_depth=0"))).toEqual([outer]);
  });

  test("is told also where a room in it names what can be no room", async () => {
    const restricted = (room_id: string) => ({
      room_version: "11",
      initial_state: [
        {
          type: "m.room.join_rules",
          content: { join_rule: "restricted", allow: [{ type: "m.room_membership", room_id }] },
        },
      ],
    });
    const members = await room();
    const [odd, known] = [await room(restricted("!a\u0000b")), await room(restricted(members))];
    const top = await space([odd, known]);
    expect(idsOf(await hierarchy(alice, top))).toEqual([top, odd, known]);
    expect(idsOf(await hierarchy(bob, top))).toEqual([top]);
    expect(await bob.call("POST", `/v3/join/${odd}`, {})).toMatchObject(
      refusal(403, "M_FORBIDDEN"),
    );
  });

  test("has the order that the space gives it, and only what is suggested if that is asked", async () => {
    const ids = [await room(), await room(), await room(), await room()];
    const [a, b, c, d] = ids as [string, string, string, string];
    const top = await space([]);
    await put(top, a);
    await put(top, b, { order: "b" });
    await put(top, c, { order: "a", suggested: true });
    await put(top, d, { order: "\u00e4" });
    expect(idsOf(await hierarchy(bob, top))).toEqual([top, c, b, a, d]);
    expect(idsOf(await hierarchy(bob, top, "?suggested_only=true"))).toEqual([top, c]);
    // A child without servers is no child.
    await put(top, c, { via: [] });
    expect(idsOf(await hierarchy(bob, top))).toEqual([top, b, a, d]);
  });

  test("tells users only of rooms that they are in, could join or look into", async () => {
    const closed = await room({ preset: "private_chat" });
    const invited = await room({ preset: "private_chat", invite: [bob.userId] });
    const knocked = await room({
      initial_state: [{ type: "m.room.join_rules", content: { join_rule: "knock" } }],
    });
    const readable = await room({
      preset: "private_chat",
      initial_state: [
        { type: "m.room.history_visibility", content: { history_visibility: "world_readable" } },
      ],
    });
    const top = await space([closed, invited, knocked, readable]);
    const restricted = await room({
      initial_state: [
        {
          type: "m.room.join_rules",
          content: {
            join_rule: "restricted",
            allow: [{ type: "m.room_membership", room_id: top }],
          },
        },
      ],
    });
    await put(top, restricted);
    const before = idsOf(await hierarchy(bob, top));
    expect(before).toEqual([top, invited, knocked, readable]);
    await bob.call("POST", `/v3/join/${top}`, {});
    const { rooms } = await hierarchy(bob, top);
    expect(rooms.map((it) => it.room_id)).toEqual([...before, restricted]);
    expect(rooms.at(-1)).toMatchObject({ join_rule: "restricted", allowed_room_ids: [top] });
    expect(idsOf(await hierarchy(alice, top))).toContain(closed);
    expect(await bob.call("GET", pathOf(closed))).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await bob.call("GET", pathOf("!nowhere:hs.test"))).toMatchObject(
      refusal(403, "M_FORBIDDEN"),
    );
  });

  test("comes page by page", async () => {
    const top = await space([await room(), await room(), await room(), await room()]);
    const all = idsOf(await hierarchy(bob, top));
    const pages: string[] = [];
    let from = "";
    do {
      const page = await hierarchy(bob, top, `?limit=2${from && `&from=${from}`}`);
      expect(page.rooms.length).toBeLessThanOrEqual(2);
      pages.push(...idsOf(page));
      from = page.next_batch ?? "";
    } while (from);
    expect(pages).toEqual(all);
    const atOnce = await hierarchy(bob, top, "?limit=2147483647&max_depth=9223372036854775807");
    expect(idsOf(atOnce)).toEqual(all);
    const token = (await hierarchy(bob, top, "?limit=2")).next_batch;
    for (const query of [
      "?limit=0",
      "?limit=x",
      "?max_depth=-1",
      "?suggested_only=maybe",
      "?from=nonsense",
      `?from=${token}&suggested_only=true`,
      `?from=${token}&max_depth=1`,
    ]) {
      const answer = await bob.call("GET", pathOf(top, query));
      expect(answer, query).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    }
  });
});

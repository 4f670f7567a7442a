import { describe, expect, test } from "vitest";
import type { Body } from "../answers.ts";
import { homeserver, refusal, type TestUser } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const mallory = await hs.registerUser("mallory");
const ids = (body: Pick<Body, "chunk">) => body.chunk.map((it) => it.event_id);

async function newRoom(): Promise<string> {
  const roomId = await alice.createRoom({ preset: "public_chat" });
  await bob.call("POST", `/v3/join/${roomId}`, {});
  return roomId;
}

const inThread = (root: string, body: string) => ({
  msgtype: "m.text",
  body,
  "m.relates_to": { rel_type: "m.thread", event_id: root },
});
const reply = async (user: TestUser, roomId: string, root: string) =>
  await user.send(roomId, "m.room.message", inThread(root, "said"));
const list = async (user: TestUser, roomId: string, query = "") =>
  await user.call("GET", `/v1/rooms/${encodeURIComponent(roomId)}/threads${query}`);

/** @spec client-server-api#get_matrixclientv1roomsroomidthreads */
describe("getThreadRoots", () => {
  test("lists the threads of a room by what was said last, page by page", async () => {
    const roomId = await newRoom();
    const roots: string[] = [];
    for (let index = 0; index < 5; index++) roots.push(await alice.sendText(roomId, `${index}`));
    await alice.sendText(roomId, "no thread");
    expect((await list(bob, roomId)).body.chunk).toEqual([]);
    for (const root of roots) await reply(alice, roomId, root);
    const [first = "", ...others] = roots;
    await reply(bob, roomId, first);
    const order = [first, ...others.toReversed()];
    const { status, body } = await list(bob, roomId);
    expect(status).toBe(200);
    expect(ids(body)).toEqual(order);
    expect(body).not.toHaveProperty("next_batch");
    expect(body.chunk[0]?.unsigned["m.relations"]?.["m.thread"]).toMatchObject({
      count: 2,
      current_user_participated: true,
      latest_event: { sender: bob.userId },
    });
    for (const limit of [1, 2, 3]) {
      const found: string[] = [];
      let from = "";
      do {
        const page = await list(bob, roomId, `?limit=${limit}${from}`);
        found.push(...ids(page.body));
        from = page.body.next_batch === undefined ? "" : `&from=${page.body.next_batch}`;
      } while (from !== "" && found.length < 20);
      expect(found).toEqual(order);
    }
  });

  test("lists those that one takes part in, if asked for them", async () => {
    const roomId = await newRoom();
    const [ofAlice, withBob, ofBob] = [
      await alice.sendText(roomId, "a"),
      await alice.sendText(roomId, "b"),
      await bob.sendText(roomId, "c"),
    ];
    for (const root of [ofAlice, withBob, ofBob]) await reply(alice, roomId, root);
    await reply(bob, roomId, withBob);
    const query = "?include=participated";
    expect(ids((await list(bob, roomId, query)).body)).toEqual([withBob, ofBob]);
    expect(ids((await list(alice, roomId, query)).body)).toEqual([withBob, ofBob, ofAlice]);
    expect(ids((await list(bob, roomId, "?include=all")).body)).toHaveLength(3);
  });

  test("forgets threads of which all was redacted, and shows ignored users' roots without content", async () => {
    const roomId = await newRoom();
    const gone = await alice.sendText(roomId, "a");
    const root = await bob.send(roomId, "org.example.event", { body: "secret" });
    const only = await reply(alice, roomId, gone);
    await reply(alice, roomId, root);
    await alice.call("PUT", `/v3/rooms/${roomId}/redact/${only}/x`, {});
    expect(ids((await list(alice, roomId)).body)).toEqual([root]);
    const ignored = `/v3/user/${alice.userId}/account_data/m.ignored_user_list`;
    await alice.call("PUT", ignored, { ignored_users: { [bob.userId]: {} } });
    const { body } = await list(alice, roomId);
    expect(body.chunk[0]).toMatchObject({ event_id: root, content: {} });
    expect(body.chunk[0]?.content).toEqual({});
    await alice.call("PUT", ignored, { ignored_users: {} });
  });

  test("lists to those who have left what they saw, in the order of what was said until then", async () => {
    const roomId = await newRoom();
    const first = await alice.sendText(roomId, "a");
    const second = await alice.sendText(roomId, "b");
    for (const root of [first, second]) await reply(alice, roomId, root);
    await bob.call("POST", `/v3/rooms/${roomId}/leave`, {});
    await reply(alice, roomId, first);
    expect(ids((await list(bob, roomId)).body)).toEqual([second, first]);
    expect(ids((await list(alice, roomId)).body)).toEqual([first, second]);
    const { body } = await list(bob, roomId, "?limit=1&from=");
    expect(ids((await list(bob, roomId, `?from=${body.next_batch}`)).body)).toEqual([first]);
  });

  test("refuses those outside, and what cannot be meant", async () => {
    const roomId = await newRoom();
    expect(await list(mallory, roomId)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    for (const query of ["limit=0", "limit=x", "include=some", "from=x"]) {
      const answer = await list(alice, roomId, `?${query}`);
      expect(answer, query).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    }
  });
});

/** @spec client-server-api#validation-of-mthread-relationships */
test("no thread begins at an event that relates to another", async () => {
  const roomId = await newRoom();
  const root = await alice.sendText(roomId, "root");
  const child = await reply(bob, roomId, root);
  const path = `/v3/rooms/${roomId}/send/m.room.message/nested`;
  const answer = await bob.call("PUT", path, inThread(child, "nested"));
  expect(answer).toMatchObject(refusal(400, "M_UNKNOWN"));
});

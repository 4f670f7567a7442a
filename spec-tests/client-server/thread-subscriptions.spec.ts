import { describe, expect, test } from "vitest";
import { joinedRoom, type SlidingAnswer } from "../answers.ts";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const roomId = await alice.createRoom({ preset: "public_chat" });
await bob.call("POST", `/v3/join/${roomId}`, {});

const UNSTABLE = "/unstable/io.element.msc4306";
const pathOf = (root: string) =>
  `${UNSTABLE}/rooms/${encodeURIComponent(roomId)}/thread/${encodeURIComponent(root)}/subscription`;
const reply = async (root: string) =>
  await bob.send(roomId, "m.room.message", {
    msgtype: "m.text",
    body: "reply",
    "m.relates_to": { rel_type: "m.thread", event_id: root },
  });
const notFound = refusal(404, "M_NOT_FOUND");
const conflicting = refusal(409, "IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION");
const notInThread = refusal(400, "IO.ELEMENT.MSC4306.M_NOT_IN_THREAD");

/** MSC4306: "putThreadSubscription", "getThreadSubscription", "deleteThreadSubscription". */
describe("a subscription to a thread", () => {
  test("is there once the user wants it, and gone when they do not", async () => {
    const path = pathOf(await alice.sendText(roomId, "root"));
    expect(await alice.call("GET", path)).toMatchObject(notFound);
    expect((await alice.call("PUT", path, {})).status).toBe(200);
    expect((await alice.call("GET", path)).body).toEqual({ automatic: false });
    expect(await bob.call("GET", path)).toMatchObject(notFound);
    expect((await alice.call("DELETE", path)).status).toBe(200);
    expect((await alice.call("DELETE", path)).status).toBe(200);
    expect(await alice.call("GET", path)).toMatchObject(notFound);
  });

  test("is made by clients for what is in the thread, but not for what the user knew when they ended it", async () => {
    const root = await alice.sendText(roomId, "root");
    const path = pathOf(root);
    const automatic = await reply(root);
    for (const cause of [root, await alice.sendText(roomId, "beside it")]) {
      expect(await alice.call("PUT", path, { automatic: cause })).toMatchObject(notInThread);
    }
    expect((await alice.call("PUT", path, { automatic })).status).toBe(200);
    expect((await alice.call("GET", path)).body).toEqual({ automatic: true });
    expect((await alice.call("PUT", path, {})).status).toBe(200);
    expect((await alice.call("PUT", path, { automatic })).status).toBe(200);
    expect((await alice.call("GET", path)).body).toEqual({ automatic: false });
    await alice.call("DELETE", path);
    expect(await alice.call("PUT", path, { automatic })).toMatchObject(conflicting);
    expect((await alice.call("PUT", path, { automatic: await reply(root) })).status).toBe(200);
  });

  test("is of threads that the user can see", async () => {
    const carol = await hs.registerUser("carol");
    const path = pathOf(await alice.sendText(roomId, "root"));
    expect(await carol.call("PUT", path, {})).toMatchObject(notFound);
    expect(await carol.call("DELETE", path)).toMatchObject(notFound);
    expect(await alice.call("PUT", pathOf("$nothing"), {})).toMatchObject(notFound);
  });
});

/** MSC4308 */
describe("getThreadSubscriptions", () => {
  test('are listed, the newest first, also by sliding sync: "getThreadSubscriptions"', async () => {
    const dave = await hs.registerUser("dave");
    await dave.call("POST", `/v3/join/${roomId}`, {});
    const roots: string[] = [];
    for (const text of ["1", "2", "3"]) roots.push(await alice.sendText(roomId, text));
    for (const root of roots) await dave.call("PUT", pathOf(root), {});
    await dave.call("DELETE", pathOf(roots[0] ?? ""));
    const name = "io.element.msc4308.thread_subscriptions";
    const sync = async (query = "") =>
      (
        await dave.call<SlidingAnswer>(
          "POST",
          `/unstable/org.matrix.simplified_msc3575/sync${query}`,
          {
            extensions: { [name]: { enabled: true, limit: 2 } },
          },
        )
      ).body;
    const first = await sync();
    const bump_stamp = expect.any(Number);
    expect(first.extensions[name]).toEqual({
      subscribed: { [roomId]: { [roots[2] ?? ""]: { automatic: false, bump_stamp } } },
      unsubscribed: { [roomId]: { [roots[0] ?? ""]: { bump_stamp } } },
      prev_batch: expect.any(String),
    });
    const list = "/unstable/io.element.msc4308/thread_subscriptions?dir=b";
    const from = encodeURIComponent(first.extensions[name]?.prev_batch ?? "");
    const older = await dave.call("GET", `${list}&from=${from}&to=`);
    expect(older.body).toEqual({
      subscribed: { [roomId]: { [roots[1] ?? ""]: { automatic: false, bump_stamp } } },
    });
    expect((await dave.call("GET", `${list}&limit=1`)).body.end).toEqual(expect.any(String));
    expect((await sync(`?pos=${first.pos}`)).extensions).toEqual({});
    const invalid = refusal(400, "M_INVALID_PARAM");
    expect(await dave.call("GET", `${list}&limit=0`)).toMatchObject(invalid);
    expect(await dave.call("GET", list.replace("=b", "=f"))).toMatchObject(invalid);
  });
});

describe("what is said in threads", () => {
  const filter = JSON.stringify({ room: { timeline: { unread_thread_notifications: true } } });

  async function scene() {
    const dora = await hs.registerUser("dora");
    const room = await bob.createRoom({ preset: "public_chat" });
    await dora.call("POST", `/v3/join/${room}`, {});
    // With a third, it is no conversation of two.
    await alice.call("POST", `/v3/join/${room}`, {});
    const say = async (body: string, further: object = {}) =>
      await bob.send(room, "m.room.message", { msgtype: "m.text", body, ...further });
    const inThread = async (root: string, further: object = {}) =>
      await say("reply", { "m.relates_to": { rel_type: "m.thread", event_id: root }, ...further });
    const subscribe = async (root: string, method: "PUT" | "DELETE" = "PUT") => {
      const path = `${UNSTABLE}/rooms/${room}/thread/${encodeURIComponent(root)}/subscription`;
      expect((await dora.call(method, path, method === "PUT" ? {} : undefined)).status).toBe(200);
    };
    const counts = async () => {
      const { unread_thread_notifications } = joinedRoom(await dora.sync({ filter }), room);
      return new Map(Object.entries(unread_thread_notifications ?? {}));
    };
    return { dora, room, say, inThread, subscribe, counts };
  }

  test("notifies all who have not subscribed to any", async () => {
    const { dora, say, inThread, counts } = await scene();
    const root = await say("root");
    await inThread(root);
    expect((await counts()).get(root)).toMatchObject({ notification_count: 1 });
    const { global } = (await dora.call("GET", "/v3/pushrules/")).body;
    expect(global).not.toHaveProperty("postcontent");
  });

  test("notifies of those that one has subscribed to alone, whatever the room says; and of mentions", async () => {
    const { dora, room, say, inThread, subscribe, counts } = await scene();
    const [wanted, other, mentioning] = [await say("one"), await say("two"), await say("three")];
    await subscribe(wanted);
    const mute = { actions: [] };
    await dora.call("PUT", `/v3/pushrules/global/room/${encodeURIComponent(room)}`, mute);
    for (const root of [wanted, other]) await inThread(root);
    await inThread(mentioning, { "m.mentions": { user_ids: [dora.userId] } });
    const before = await counts();
    expect(before.get(wanted)).toMatchObject({ notification_count: 1, highlight_count: 0 });
    expect(before.get(other)?.notification_count ?? 0).toBe(0);
    expect(before.get(mentioning)).toMatchObject({ notification_count: 1, highlight_count: 1 });

    await subscribe(wanted, "DELETE");
    await subscribe(other);
    for (const root of [wanted, other]) await inThread(root);
    const after = await counts();
    expect(after.get(wanted)?.notification_count ?? 0).toBe(0);
    expect(after.get(other)?.notification_count).toBeGreaterThan(0);
  });

  test("is by rules of the server's, which users can switch off, and to which they cannot add", async () => {
    const { dora, say, inThread, subscribe, counts } = await scene();
    const [wanted, other] = [await say("one"), await say("two")];
    await subscribe(wanted);
    const rules = (await dora.call("GET", "/v3/pushrules/")).body.global["postcontent"] ?? [];
    expect(rules.map((it) => [it.rule_id, it.enabled])).toEqual([
      [".io.element.msc4306.rule.unsubscribed_thread", true],
      [".io.element.msc4306.rule.subscribed_thread", true],
    ]);
    const own = "/v3/pushrules/global/postcontent/mine";
    expect(await dora.call("PUT", own, { actions: ["notify"], conditions: [] })).toMatchObject(
      refusal(400, "M_INVALID_PARAM"),
    );
    const path = `/v3/pushrules/global/postcontent/${rules[0]?.rule_id}/enabled`;
    expect((await dora.call("PUT", path, { enabled: false })).status).toBe(200);
    await subscribe(wanted);
    await inThread(other);
    expect((await counts()).get(other)).toMatchObject({ notification_count: 1 });
    const { unstable_features } = (await hs.request("GET", "/versions")).body;
    expect(unstable_features["org.matrix.msc4306"]).toBe(true);
  });
});

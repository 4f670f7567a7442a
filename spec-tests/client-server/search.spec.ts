import { describe, expect, test } from "vitest";
import { type FoundEvents, present } from "../answers.ts";
import { homeserver, refusal, type TestUser } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const mallory = await hs.registerUser("mallory");

async function newRoom(further: object = {}): Promise<string> {
  const roomId = await alice.createRoom({ preset: "public_chat", ...further });
  await bob.call("POST", `/v3/join/${encodeURIComponent(roomId)}`, {});
  return roomId;
}

async function search(user: TestUser, search_term: string, criteria: object = {}, next = "") {
  const body = { search_categories: { room_events: { search_term, ...criteria } } };
  const answer = await user.call("POST", `/v3/search${next && `?next_batch=${next}`}`, body);
  expect(answer.status, answer.text).toBe(200);
  return answer.body.search_categories.room_events;
}

const ids = (found: Pick<FoundEvents, "results">) => found.results.map((it) => it.result.event_id);
const recent = (roomId: string, further: object = {}) => ({
  order_by: "recent",
  filter: { rooms: [roomId] },
  ...further,
});

/** @spec client-server-api#post_matrixclientv3search */
describe("search", () => {
  const TEXTS = [
    ["The quick brown fox jumps over the lazy dog", ["quick", "FOX", "lazy dog", "jump"]],
    ["Übermäßige Größe in Zürich", ["zurich", "ÜBERMÄSSIGE".toLowerCase().replace("ss", "ß")]],
    [
      "今天下午三点我们在会议室开会讨论项目预算",
      ["会议", "会议室", "预算", "三点我们", "今", "算"],
    ],
    ["明日の午後、東京駅でミーティングがあります", ["東京", "ミーティング", "があり", "駅"]],
    ["내일 오후에 회의실에서 프로젝트 예산을 논의합니다", ["회의실", "프로젝트", "예산", "의합"]],
    ["请看 Archipel 的新版本2.5发布说明", ["archipel", "版本", "发布说明", "新版"]],
    ["พรุ่งนี้ประชุมที่กรุงเทพ", ["ประชุม", "กรุงเทพ"]],
    ["Встреча завтра в Москве", ["завтра", "москве", "встреч"]],
  ] as const;

  test.each(TEXTS)("finds in %s whatever is in it", async (text, terms) => {
    const roomId = await newRoom();
    const eventId = await bob.sendText(roomId, text);
    await bob.sendText(roomId, "一二三 nothing of the kind 나다");
    for (const term of terms) {
      const found = await search(alice, term, recent(roomId));
      expect(ids(found), term).toEqual([eventId]);
      expect(found.count).toBeGreaterThan(0);
      expect(found.highlights.length).toBeGreaterThan(0);
      expect(found.results[0]?.rank).toBeGreaterThan(0);
    }
    expect(ids(await search(alice, "會面 absent", recent(roomId)))).toEqual([]);
  });

  test("wants all of the words, and runs of characters as they are", async () => {
    const roomId = await newRoom();
    const both = await bob.sendText(roomId, "apples and pears");
    await bob.sendText(roomId, "apples and plums");
    await bob.sendText(roomId, "北京很大，上海很大，京上海");
    expect(ids(await search(alice, "pears apples", recent(roomId)))).toEqual([both]);
    expect(ids(await search(alice, "北京上海", recent(roomId)))).toEqual([]);
    expect(ids(await search(alice, "?!…", recent(roomId)))).toEqual([]);
  });

  test("finds names and topics too, or only them", async () => {
    const roomId = await newRoom({ name: "Kestrel office", topic: "All about kestrels" });
    const said = await bob.sendText(roomId, "kestrel!");
    const types = async (keys?: string[]) =>
      (await search(alice, "kestrel", recent(roomId, keys && { keys }))).results.map(
        (it: { result: { type: string } }) => it.result.type,
      );
    expect(await types()).toEqual(["m.room.message", "m.room.topic", "m.room.name"]);
    expect(await types(["content.name"])).toEqual(["m.room.name"]);
    expect(await types(["content.name", "content.topic"])).toEqual(["m.room.topic", "m.room.name"]);
    const bodies = await search(alice, "kestrel", recent(roomId, { keys: ["content.body"] }));
    expect(ids(bodies)).toEqual([said]);
    expect(await types([])).toEqual([]);
  });

  test("takes edits and redactions into account", async () => {
    const roomId = await newRoom();
    const eventId = await bob.sendText(roomId, "hippopotamus");
    expect(ids(await search(alice, "hippopotamus", recent(roomId)))).toEqual([eventId]);
    const edit = await bob.send(roomId, "m.room.message", {
      msgtype: "m.text",
      body: "* rhinoceros",
      "m.new_content": { msgtype: "m.text", body: "rhinoceros" },
      "m.relates_to": { rel_type: "m.replace", event_id: eventId },
    });
    expect(ids(await search(alice, "hippopotamus", recent(roomId)))).toEqual([]);
    const found = await search(alice, "rhinoceros", recent(roomId));
    expect(ids(found)).toEqual([eventId]);
    expect(found.results[0]?.result.unsigned["m.relations"]?.["m.replace"]?.event_id).toBe(edit);
    await bob.call("PUT", `/v3/rooms/${roomId}/redact/${edit}/a`, {});
    expect(ids(await search(alice, "rhinoceros", recent(roomId)))).toEqual([]);
    expect(ids(await search(alice, "hippopotamus", recent(roomId)))).toEqual([eventId]);
    await bob.call("PUT", `/v3/rooms/${roomId}/redact/${eventId}/b`, {});
    expect(ids(await search(alice, "hippopotamus", recent(roomId)))).toEqual([]);
  });

  /** All pages of a search in a room, while more is said there. */
  async function pages(roomId: string, order_by: string) {
    const results: FoundEvents["results"][number][] = [];
    let next: string | undefined = "";
    while (next !== undefined && results.length < 20) {
      const criteria = { order_by, filter: { rooms: [roomId], limit: 3 } };
      const page: FoundEvents = await search(alice, "walrus", criteria, next);
      results.push(...page.results);
      next = page.next_batch;
      await bob.sendText(roomId, "walrus meanwhile");
    }
    return { found: ids({ results }), ranks: results.map((it) => it.rank) };
  }

  test("pages by time and by rank, each result once", async () => {
    const roomId = await newRoom();
    const send = async (index: number) =>
      await bob.sendText(roomId, `${"walrus ".repeat(1 + (index % 3))}number ${index}`);
    const sent: string[] = [];
    for (let index = 0; index < 7; index++) sent.push(await send(index));
    expect((await pages(roomId, "recent")).found).toEqual(sent.toReversed());
    const byRank = await pages(roomId, "rank");
    expect(byRank.found).toEqual(expect.arrayContaining(sent));
    expect(new Set(byRank.found).size).toBe(byRank.found.length);
    expect(byRank.ranks).toEqual(byRank.ranks.toSorted((a, b) => b - a));
    const from = async (token: string) =>
      await alice.call("POST", `/v3/search?next_batch=${token}`, {
        search_categories: { room_events: { search_term: "walrus" } },
      });
    expect(await from("nonsense")).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    expect(await from("")).toMatchObject({ status: 200 });
  });

  test("tells what was around, who they were, the state, and groups", async () => {
    const roomId = await newRoom();
    const before = [await bob.sendText(roomId, "one"), await bob.sendText(roomId, "two")];
    const eventId = await alice.sendText(roomId, "ocelot");
    const after = [await bob.sendText(roomId, "three"), await bob.sendText(roomId, "four")];
    const criteria = recent(roomId, {
      event_context: { before_limit: 2, after_limit: 1, include_profile: true },
      include_state: true,
      groupings: { group_by: [{ key: "room_id" }, { key: "sender" }] },
    });
    const found = await search(bob, "ocelot", criteria);
    const { context, result } = present(found.results[0]);
    expect(result.event_id).toBe(eventId);
    expect(context.events_before.map((it) => it.event_id)).toEqual(before.toReversed());
    expect(context.events_after.map((it) => it.event_id)).toEqual([after[0]]);
    expect(Object.keys(context.profile_info).toSorted()).toEqual(
      [alice.userId, bob.userId].toSorted(),
    );
    const older = `/v3/rooms/${roomId}/messages?dir=f&from=${context.end}&limit=1`;
    expect((await bob.call("GET", older)).body.chunk[0]?.event_id).toBe(after[1]);
    expect(found.state[roomId]?.map((it) => it.type)).toContain("m.room.create");
    expect(found.groups).toMatchObject({
      room_id: { [roomId]: { results: [eventId], order: 1 } },
      sender: { [alice.userId]: { results: [eventId] } },
    });
    await bob.sendText(roomId, "ocelot again");
    const grouped = { ...criteria, filter: { rooms: [roomId], limit: 1 } };
    const first = await search(bob, "ocelot", grouped);
    const next = first.groups.sender[bob.userId]?.next_batch;
    expect(ids(await search(bob, "ocelot", grouped, next))).toEqual([]);
    expect(ids(await search(bob, "ocelot", grouped, first.next_batch))).toEqual([eventId]);
  });

  test("finds only what one may see", async () => {
    const roomId = await newRoom({
      initial_state: [
        { type: "m.room.history_visibility", content: { history_visibility: "joined" } },
      ],
    });
    const early = await alice.sendText(roomId, "platypus early");
    expect(ids(await search(mallory, "platypus"))).toEqual([]);
    await mallory.call("POST", `/v3/join/${roomId}`, {});
    const middle = await alice.sendText(roomId, "platypus middle");
    await mallory.call("POST", `/v3/rooms/${roomId}/leave`, {});
    const late = await alice.sendText(roomId, "platypus late");
    expect(ids(await search(mallory, "platypus", { order_by: "recent" }))).toEqual([middle]);
    expect(ids(await search(bob, "platypus", { order_by: "recent" }))).toEqual([
      late,
      middle,
      early,
    ]);
    const context = { order_by: "recent", event_context: {} };
    const around = present((await search(mallory, "platypus", context)).results[0]).context;
    const shown = [...around.events_before, ...around.events_after].map((it) => it.event_id);
    expect(shown).not.toContain(early);
    expect(shown).not.toContain(late);
    const list = `/v3/user/${bob.userId}/account_data/m.ignored_user_list`;
    await bob.call("PUT", list, { ignored_users: { [alice.userId]: {} } });
    expect(ids(await search(bob, "platypus"))).toEqual([]);
    await bob.call("PUT", list, { ignored_users: {} });
    await mallory.call("POST", `/v3/rooms/${roomId}/forget`, {});
    expect(ids(await search(mallory, "platypus"))).toEqual([]);
  });

  test("heeds filters", async () => {
    const roomId = await newRoom();
    const other = await newRoom();
    const ofBob = await bob.sendText(roomId, "narwhal");
    const ofAlice = await alice.sendText(other, "narwhal");
    const found = async (filter: object) =>
      ids(await search(alice, "narwhal", { order_by: "recent", filter }));
    expect(await found({})).toEqual([ofAlice, ofBob]);
    expect(await found({ rooms: [roomId] })).toEqual([ofBob]);
    expect(await found({ not_rooms: [roomId] })).toEqual([ofAlice]);
    expect(await found({ senders: [alice.userId] })).toEqual([ofAlice]);
    expect(await found({ not_senders: [alice.userId] })).toEqual([ofBob]);
    expect(await found({ types: ["m.room.name"] })).toEqual([]);
    expect(await found({ contains_url: true })).toEqual([]);
  });

  test("refuses what cannot be meant", async () => {
    for (const room_events of [{}, { search_term: 5 }, { search_term: "x", order_by: "size" }]) {
      const answer = await alice.call("POST", "/v3/search", { search_categories: { room_events } });
      expect(answer).toMatchObject(refusal(400, "M_BAD_JSON"));
    }
    const nothing = await alice.call("POST", "/v3/search", { search_categories: {} });
    expect(nothing).toMatchObject({ status: 200, body: { search_categories: {} } });
  });
});

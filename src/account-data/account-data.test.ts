import { afterAll, describe, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";
import { changeRule } from "#src/push-rules/change-push-rules.ts";
import { changePushRules } from "#src/push-rules/stored-push-rules.ts";
import type { SyncQuestion } from "#src/streams/sync-section.ts";
import { tailOf } from "#src/streams/tail.ts";
import { testHomeservers, testUser } from "#src/testing.ts";
import { findAccountData, NO_ROOM, setAccountData } from "./account-data.ts";
import { ignoredUsersOf } from "./ignored-users.ts";
import { accountDataSection } from "./sync-section.ts";
import { deleteTag, setTag, tagsOf } from "./tags.ts";

const house = await testHomeservers(2);
const { hs } = house;
const [one, two] = house.all as [Homeserver, Homeserver];
afterAll(async () => await house.close());

const ROOM = 7;
const MASTER_OFF = {
  rule_id: ".m.rule.master",
  default: true,
  enabled: false,
  actions: [],
  conditions: [],
};
const MASTER_ON = { ...MASTER_OFF, enabled: true };
const set = async (at: Homeserver, user: Requester, type: string, content: object) =>
  await setAccountData(at, user, NO_ROOM, { type, content });

describe("account data", () => {
  test("is there for every process, the last that was set", async () => {
    const alice = await testUser(hs, "alice");
    await set(one, alice, "org.example", { n: 1 });
    await set(two, alice, "org.example", { n: 2 });
    expect(await findAccountData(one, alice, NO_ROOM, "org.example")).toBe('{"n":2}');
    expect(await findAccountData(one, alice, ROOM, "org.example")).toBeUndefined();
  });

  test.each(["m.fully_read", "m.push_rules"])(
    "of the type %s only the server sets",
    async (type) => {
      const alice = await testUser(hs, "alice");
      for (const roomKey of [NO_ROOM, ROOM]) {
        await expect(
          setAccountData(hs, alice, roomKey, { type, content: {} }),
        ).rejects.toMatchObject({
          errcode: "M_BAD_JSON",
          status: 405,
        });
      }
    },
  );

  test("is no more than a first sync can bring", async () => {
    const hoarder = await testUser(hs, "hoarder");
    const megabyte = { x: "x".repeat(1024 * 1024 - 8) };
    for (let n = 0; n < 32; n++) await set(one, hoarder, `n${n}`, megabyte);
    const tooLarge = expect.objectContaining({ errcode: "M_TOO_LARGE" });
    await expect(set(two, hoarder, "one more", {})).rejects.toEqual(tooLarge);
    await set(one, hoarder, "n0", megabyte);
    const whose = { userKey: hoarder.userKey, roomKey: ROOM };
    await expect(setTag(one, whose, "u.work", {})).rejects.toEqual(tooLarge);
    await set(two, hoarder, "n0", {});
    await setTag(one, whose, "u.work", {});
  });

  test("has the push rules among it", async () => {
    const alice = await testUser(hs, "alice");
    const content = await findAccountData(hs, alice, NO_ROOM, "m.push_rules");
    expect(JSON.parse(content ?? "")).toMatchObject({
      global: { override: expect.arrayContaining([MASTER_OFF]), room: [], sender: [], content: [] },
    });
  });
});

test("ignoring a user is known to each process as soon as it is done", async () => {
  const bob = await testUser(hs, "bob");
  expect(await ignoredUsersOf(two, bob.userKey)).toEqual(new Set());
  await set(one, bob, "m.ignored_user_list", { ignored_users: { "@spam:test": {} } });
  expect(await ignoredUsersOf(one, bob.userKey)).toEqual(new Set(["@spam:test"]));
  await tailOf(two).catchUp();
  expect(await ignoredUsersOf(two, bob.userKey)).toEqual(new Set(["@spam:test"]));
  await set(two, bob, "m.ignored_user_list", { ignored_users: "nonsense" });
  expect(await ignoredUsersOf(two, bob.userKey)).toEqual(new Set());
});

describe("tags", () => {
  test("are not so many or so large that changing them takes long", async () => {
    const { userKey } = await testUser(hs, "tagger");
    const whose = { userKey, roomKey: ROOM };
    const tooLarge = expect.objectContaining({ errcode: "M_TOO_LARGE" });
    await expect(setTag(hs, whose, "u.a", { x: "x".repeat(65_536) })).rejects.toEqual(tooLarge);
    await setTag(hs, whose, "u.a", { x: "x".repeat(40_000) });
    await expect(setTag(hs, whose, "u.b", { x: "x".repeat(40_000) })).rejects.toEqual(tooLarge);
    expect(Object.keys(await tagsOf(hs, whose))).toEqual(["u.a"]);
  });

  test("set at once, in several processes, are all there", async () => {
    const { userKey } = await testUser(hs, "carol");
    const whose = { userKey, roomKey: ROOM };
    const names = Array.from({ length: 20 }, (_, index) => `u.tag${index}`);
    await Promise.all(
      names.map(
        async (it, index) => await setTag(index % 2 ? one : two, whose, it, { order: 0.5 }),
      ),
    );
    await Promise.all(names.slice(10).map(async (it) => await deleteTag(two, whose, it)));
    expect(Object.keys(await tagsOf(hs, whose)).toSorted()).toEqual(names.slice(0, 10).toSorted());
  });

  test("may have any name but a long one", async () => {
    const { userKey } = await testUser(hs, "dave");
    const whose = { userKey, roomKey: ROOM };
    await setTag(hs, whose, "__proto__", { order: 1 });
    expect(JSON.stringify(await tagsOf(hs, whose))).toBe("{}");
    await setTag(hs, whose, "u.ok", {});
    expect(JSON.stringify(await tagsOf(hs, whose))).toBe('{"u.ok":{}}');
    await expect(setTag(hs, whose, "x".repeat(256), {})).rejects.toMatchObject({
      errcode: "M_INVALID_PARAM",
    });
  });
});

describe("the section of sync", () => {
  const read = async (
    user: Requester,
    after: number | undefined,
    its: Partial<SyncQuestion> = {},
  ) => {
    const question: SyncQuestion = {
      requester: user,
      rooms: new Map([[ROOM, "!room:test"]]),
      newRooms: new Set(),
      changes: undefined,
      ...its,
    };
    return await accountDataSection.read(hs, question, { after, upTo: tailOf(hs).position });
  };

  test("tells all at first, then what has changed, alike from memory and from the database", async () => {
    const erin = await testUser(hs, "erin");
    await set(hs, erin, "org.example", { n: 1 });
    const since = tailOf(hs).position;
    await setTag(hs, { userKey: erin.userKey, roomKey: ROOM }, "u.x", {});
    await setAccountData(hs, erin, ROOM + 1, { type: "org.elsewhere", content: {} });

    const tagged = new Map([
      [ROOM, { accountData: [{ type: "m.tag", content: { tags: { "u.x": {} } } }] }],
    ]);
    const first = await read(erin, undefined);
    expect(first.global).toMatchObject({
      account_data: {
        events: [{ type: "org.example", content: { n: 1 } }, { type: "m.push_rules" }],
      },
    });
    expect(first.rooms).toEqual(tagged);

    const changes = tailOf(hs).between(since, tailOf(hs).position);
    expect(await read(erin, since, { changes })).toEqual({ rooms: tagged });
    expect((await read(erin, since)).rooms).toEqual(tagged);
    const known = tailOf(hs).position;
    expect((await read(erin, known, { newRooms: new Set([ROOM]) })).rooms).toEqual(tagged);
  });

  test("tells of what is long, too, which no process remembers", async () => {
    const lena = await testUser(hs, "lena");
    const since = tailOf(hs).position;
    const content = { text: "x".repeat(100_000) };
    await set(hs, lena, "org.example", content);
    const changes = tailOf(hs).between(since, tailOf(hs).position) ?? [];
    const own = changes.filter((it) => it.userKey === lena.userKey);
    expect(JSON.stringify(own).length).toBeLessThan(1_000);
    expect((await read(lena, since, { changes: own })).global).toEqual({
      account_data: { events: [{ type: "org.example", content }] },
    });
  });

  test("tells of what the filter lets through", async () => {
    const gina = await testUser(hs, "gina");
    await set(hs, gina, "org.example", { n: 1 });
    const filter = { account_data: { not_types: ["m.push_rules"] } };
    expect((await read(gina, undefined, { filter })).global).toEqual({
      account_data: { events: [{ type: "org.example", content: { n: 1 } }] },
    });
    expect(await read(gina, undefined, { filter: { account_data: { types: [] } } })).toEqual({
      rooms: new Map(),
    });
  });

  test("tells the push rules when they change", async () => {
    const frank = await testUser(hs, "frank");
    const since = tailOf(hs).position;
    const master = { kind: "override", ruleId: ".m.rule.master" } as const;
    await changePushRules(hs, frank.userKey, (rules) =>
      changeRule(frank.userId, rules, master, { enabled: true }),
    );
    const changes = tailOf(hs).between(since, tailOf(hs).position);
    const { global } = await read(frank, since, { changes });
    expect(global).toMatchObject({
      account_data: {
        events: [
          {
            type: "m.push_rules",
            content: {
              global: { override: expect.arrayContaining([MASTER_ON]) },
            },
          },
        ],
      },
    });
  });
});

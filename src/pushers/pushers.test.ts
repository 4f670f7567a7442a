import { once } from "node:events";
import { createServer } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { changeAccount } from "#src/auth/accounts-stream.ts";
import { findAccount } from "#src/auth/find-account.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { ensureRoom } from "#src/rooms/received/ensure-room.ts";
import { storeOutsideMembership } from "#src/rooms/received/outside-membership.ts";
import { RemoteRoom } from "#src/rooms/received/testing.ts";
import { userKeyOf } from "#src/rooms/user-keys.ts";
import { runFollowers } from "#src/streams/run-followers.ts";
import { asking, type Ask, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { followPushed } from "./follow-streams.ts";
import type { OwedPusher } from "./pusher.ts";
import { runPushers } from "./run-pushers.ts";
import { tellOverGateway } from "./tell-over-gateway.ts";

const TIMES = { pauseMs: 20, lookMs: 100, firstRetryMs: 50, lastRetryMs: 200 };

/** A notification as a push gateway is told it. */
type Notification = {
  readonly event_id?: string;
  readonly devices: readonly { readonly pushkey: string; readonly data?: object }[];
};

/** A push gateway that remembers what it is told, and answers as the test wants. */
async function testGateway() {
  const told: Notification[] = [];
  const gateway = { told, status: 200, rejected: [] as string[], url: "", close: () => {} };
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (piece: Buffer) => (text += piece.toString()));
    request.on("end", () => {
      if (gateway.status === 200) told.push(JSON.parse(text).notification);
      response.writeHead(gateway.status).end(JSON.stringify({ rejected: gateway.rejected }));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  gateway.url = `http://127.0.0.1:${port}/_matrix/push/v1/notify`;
  gateway.close = () => void server.close();
  return gateway;
}

let homes: TestHomeservers;
let hs: Homeserver;
let ask: Ask;
let askOther: Ask;
let gateway: Awaited<ReturnType<typeof testGateway>>;
beforeAll(async () => {
  gateway = await testGateway();
  homes = await testHomeservers(
    2,
    {
      ...LENIENT,
      ARCHIPEL_DATABASE_MAX_CONNECTIONS: "4",
      ARCHIPEL_PUSH_PLAIN_HTTP: "true",
      ARCHIPEL_FEDERATION_ALLOWED_ADDRESS_RANGES: "127.0.0.0/8",
    },
    (hs) => [runFollowers(hs, [{ ...followPushed, pauseMs: 20 }]), runPushers(hs, TIMES)],
  );
  const [one, two] = homes.all;
  if (!one || !two) throw new Error("two homeservers are needed");
  hs = one;
  ask = asking(one);
  askOther = asking(two);
});
afterAll(async () => {
  await homes.close();
  gateway.close();
});

const OUTSIDER: UserId = "@odile:one.test";

let made = 0;

/** A user, and what they do. */
async function user(name: string) {
  const token = (await registered(ask, `${name}${++made}`)).access_token as string;
  const pushkey = `key of ${name}${made}`;
  const setPusher = async (its: object = {}, data: object = {}) =>
    await ask("POST", "pushers/set", {
      token,
      body: {
        kind: "http",
        app_id: "org.example",
        pushkey,
        app_display_name: "Example",
        device_display_name: "Phone",
        lang: "en",
        data: { url: gateway.url, ...data },
        ...its,
      },
    });
  const told = () => gateway.told.filter((it) => it.devices[0]?.pushkey === pushkey);
  const toldOf = async (eventId: string) =>
    await expect
      .poll(() => told().find((it) => it.event_id === eventId), { timeout: 15_000 })
      .toBeDefined()
      .then(() => told().find((it) => it.event_id === eventId));
  return { token, pushkey, setPusher, told, toldOf };
}

type User = Awaited<ReturnType<typeof user>>;

async function roomOf(creator: User, ...others: readonly User[]): Promise<string> {
  const body = { preset: "public_chat", name: "Harbour", room_alias_name: `harbour${made}` };
  const roomId = (await ask("POST", "createRoom", { token: creator.token, body })).body.room_id;
  for (const { token } of others) await ask("POST", `join/${roomId}`, { token, body: {} });
  return roomId as string;
}

let transactions = 0;
const say = async (by: User, roomId: string, its: object = {}): Promise<string> => {
  const body = { msgtype: "m.text", body: "land ahoy", ...its };
  const path = `rooms/${roomId}/send/m.room.message/${++transactions}`;
  return (await askOther("PUT", path, { token: by.token, body })).body.event_id;
};
const read = async (by: User, roomId: string, eventId: string) =>
  await ask("POST", `rooms/${roomId}/receipt/m.read/${eventId}`, { token: by.token, body: {} });

describe("a pusher", () => {
  test("tells of what its user is to know, whichever process it happens in", async () => {
    const [alice, bob] = [await user("alice"), await user("bob")];
    const roomId = await roomOf(alice, bob);
    await say(alice, roomId, { body: "before" });
    await bob.setPusher({}, { colour: "blue" });
    const eventId = await say(alice, roomId, { "m.mentions": { room: true } });
    expect(await bob.toldOf(eventId)).toMatchObject({
      room_id: roomId,
      type: "m.room.message",
      sender: expect.stringContaining("@alice"),
      sender_display_name: expect.stringContaining("alice"),
      room_name: "Harbour",
      room_alias: expect.stringContaining("#harbour"),
      prio: "high",
      content: { body: "land ahoy" },
      counts: { unread: 2 },
      devices: [
        {
          app_id: "org.example",
          pushkey: bob.pushkey,
          pushkey_ts: expect.any(Number),
          data: { colour: "blue" },
          tweaks: { highlight: true },
        },
      ],
    });
    // Neither of what was before, nor of what one says oneself.
    const own = await say(bob, roomId);
    await bob.toldOf(await say(alice, roomId));
    expect(bob.told().filter((it) => it.event_id !== undefined)).toHaveLength(2);
    expect(bob.told().some((it) => it.event_id === own)).toBe(false);
    expect(bob.told()[0]?.devices[0]?.data).toEqual({ colour: "blue" });
  });

  test("tells of invitations", async () => {
    const [alice, bob] = [await user("alice"), await user("bob")];
    const roomId = await roomOf(alice);
    await bob.setPusher();
    const { user_id } = (await ask("GET", "account/whoami", { token: bob.token })).body;
    await ask("POST", `rooms/${roomId}/invite`, { token: alice.token, body: { user_id } });
    await expect
      .poll(() => bob.told()[0], { timeout: 15_000 })
      .toMatchObject({
        type: "m.room.member",
        user_is_target: true,
        membership: "invite",
        room_name: "Harbour",
        counts: { unread: 1 },
      });
  });

  test("names a room elsewhere as the invitation to it does", async () => {
    const bob = await user("bob");
    await bob.setPusher();
    const { user_id: userId } = (await ask("GET", "account/whoami", { token: bob.token })).body;
    const remote = new RemoteRoom("12", "named");
    const begun = remote.begin(OUTSIDER);
    const content = { membership: "invite" };
    const draft = { type: "m.room.member", state_key: userId, content };
    const invite = remote.received(remote.add(OUTSIDER, draft, [begun]));
    const state = (type: string, key: string, its: object) => ({
      type,
      state_key: key,
      sender: OUTSIDER,
      content: its,
    });
    const strippedState = [
      state("m.room.name", "", { name: "Far away" }),
      state("m.room.member", OUTSIDER, { membership: "join", displayname: "Odile" }),
    ];
    const room = await ensureRoom(hs, remote.roomId ?? "!", remote.rules);
    const told = { strippedState, by: serverNameOf(OUTSIDER) };
    await storeOutsideMembership(hs, { room, received: invite, membership: "invite", told });
    await expect
      .poll(() => bob.told()[0], { timeout: 15_000 })
      .toMatchObject({
        room_id: remote.roomId,
        room_name: "Far away",
        sender_display_name: "Odile",
        membership: "invite",
      });
  });

  test("says no more than it must if it is asked to", async () => {
    const [alice, bob] = [await user("alice"), await user("bob")];
    const roomId = await roomOf(alice, bob);
    await bob.setPusher({}, { format: "event_id_only" });
    const eventId = await say(alice, roomId);
    const told = await bob.toldOf(eventId);
    expect(told).toEqual({
      event_id: eventId,
      room_id: roomId,
      prio: "high",
      counts: { unread: 1 },
      devices: [expect.any(Object)],
    });
    expect(told?.devices[0]?.data).toEqual({ format: "event_id_only" });
    expect(told?.devices[0]).not.toHaveProperty("tweaks");
  });

  test("says how much is unread when something was read elsewhere", async () => {
    const [alice, bob] = [await user("alice"), await user("bob")];
    const roomId = await roomOf(alice, bob);
    await bob.setPusher();
    const eventId = await say(alice, roomId);
    await bob.toldOf(eventId);
    await read(bob, roomId, eventId);
    await expect
      .poll(() => bob.told().at(-1), { timeout: 15_000 })
      .toEqual({
        counts: {},
        devices: [expect.objectContaining({ pushkey: bob.pushkey })],
      });
  });

  test("says that more is unread with what that is, and not before", async () => {
    const [alice, bob] = [await user("alice"), await user("bob")];
    await say(alice, await roomOf(alice, bob));
    const { user_id: userId } = (await ask("GET", "account/whoami", { token: bob.token })).body;
    const pusher: OwedPusher = {
      pusherKey: 0,
      userKey: await userKeyOf(hs, userId),
      userId,
      appId: "org.example",
      pushkey: bob.pushkey,
      kind: "http",
      lang: "en",
      data: JSON.stringify({ url: gateway.url }),
      setMs: 0,
      owedUpTo: 7,
      pushedUpTo: 0,
      toldUnread: 0,
      failures: 0,
      mailedMs: 0,
      mailGapMs: 0,
    };
    /** A turn in which it is not owed yet what was said. */
    const turn = async (unread: number) => {
      const progress = { upTo: 0, unread, mailedMs: 0, mailGapMs: 0 };
      await tellOverGateway(hs, pusher, { owed: [], reached: 7 }, progress);
      return progress;
    };
    expect(await turn(0)).toMatchObject({ upTo: 7, unread: 0 });
    expect(bob.told()).toEqual([]);
    expect(await turn(5)).toMatchObject({ upTo: 7, unread: 1 });
    expect(bob.told()).toMatchObject([{ counts: { unread: 1 } }]);
  });

  test("loses nothing while its gateway is down, and repeats nothing that was read meanwhile", async () => {
    const [alice, bob] = [await user("alice"), await user("bob")];
    const roomId = await roomOf(alice, bob);
    const other = await roomOf(alice, bob);
    await bob.setPusher();
    gateway.status = 503;
    const seen = await say(alice, other);
    const events: string[] = [];
    for (let count = 0; count < 25; count++) events.push(await say(alice, roomId));
    await expect
      .poll(
        async () =>
          (await homes.hs.sql`select from pushers where pushkey = ${bob.pushkey} and failures > 1`)
            .length,
        { timeout: 15_000 },
      )
      .toBe(1);
    await read(bob, other, seen);
    gateway.status = 200;
    await bob.toldOf(events.at(-1) ?? "");
    const told = bob.told().flatMap((it) => it.event_id ?? []);
    expect(told).toEqual(events);
  });

  test("is taken over from a process that died while it was about it", async () => {
    const [alice, bob] = [await user("alice"), await user("bob")];
    const roomId = await roomOf(alice, bob);
    await bob.setPusher();
    const until = Date.now() + 600;
    await homes.hs.sql`
      update pushers set holder = 'dead', leased_until_ms = ${until} where pushkey = ${bob.pushkey}`;
    await bob.toldOf(await say(alice, roomId));
    expect(Date.now()).toBeGreaterThanOrEqual(until);
  });

  test("goes when its gateway says that there is nobody", async () => {
    const [alice, bob] = [await user("alice"), await user("bob")];
    const roomId = await roomOf(alice, bob);
    await bob.setPusher();
    gateway.rejected = [bob.pushkey];
    await say(alice, roomId);
    const pushers = async () =>
      (await ask("GET", "pushers", { token: bob.token })).body.pushers.length;
    await expect.poll(pushers, { timeout: 15_000 }).toBe(0);
    gateway.rejected = [];
  });

  test("is switched off and on from another device, and then tells of what comes next", async () => {
    const [alice, bob] = [await user("alice"), await user("bob")];
    const roomId = await roomOf(alice, bob);
    await bob.setPusher({ "org.matrix.msc3881.enabled": false });
    await say(alice, roomId, { body: "unheard" });
    await bob.setPusher({ "org.matrix.msc3881.enabled": true });
    const eventId = await say(alice, roomId);
    await bob.toldOf(eventId);
    expect(bob.told().filter((it) => it.event_id !== undefined)).toHaveLength(1);
    const { pushers } = (await ask("GET", "pushers", { token: bob.token })).body;
    expect(pushers[0]["org.matrix.msc3881.enabled"]).toBe(true);
  });

  test("tells a locked account nothing, and then what comes once it is open again", async () => {
    const [alice, bob, carol] = [await user("alice"), await user("bob"), await user("carol")];
    const roomId = await roomOf(alice, bob, carol);
    await bob.setPusher();
    await carol.setPusher();
    const heard = await say(alice, roomId);
    await bob.toldOf(heard);
    const { user_id: bobId } = (await ask("GET", "account/whoami", { token: bob.token })).body;
    const lock = async (isLocked: boolean) => {
      const account = await findAccount(hs, bobId);
      await changeAccount(hs, account?.userKey ?? 0, { isLocked });
    };
    await lock(true);
    const unheard = await say(alice, roomId);
    await carol.toldOf(unheard);
    await lock(false);
    await bob.toldOf(await say(alice, roomId));
    expect(bob.told().map((it) => it.event_id)).not.toContain(unheard);
  });

  test("is connected to no address of this machine, unless that was allowed", async () => {
    const bare = await testHomeservers(
      1,
      { ...LENIENT, ARCHIPEL_DATABASE_MAX_CONNECTIONS: "2", ARCHIPEL_PUSH_PLAIN_HTTP: "true" },
      (hs) => [runFollowers(hs, [{ ...followPushed, pauseMs: 20 }]), runPushers(hs, TIMES)],
    );
    const askBare = asking(bare.hs);
    const [alice, bob] = [await registered(askBare, "alice"), await registered(askBare, "bob")];
    const body = { preset: "public_chat" };
    const { room_id } = (await askBare("POST", "createRoom", { token: alice.access_token, body }))
      .body;
    await askBare("POST", `join/${room_id}`, { token: bob.access_token, body: {} });
    await askBare("POST", "pushers/set", {
      token: bob.access_token,
      body: {
        kind: "http",
        app_id: "a",
        pushkey: "inside",
        app_display_name: "",
        device_display_name: "",
        lang: "en",
        data: { url: gateway.url },
      },
    });
    const path = `rooms/${room_id}/send/m.room.message/1`;
    await askBare("PUT", path, {
      token: alice.access_token,
      body: { msgtype: "m.text", body: "" },
    });
    const failed = async () => (await bare.hs.sql`select from pushers where failures > 0`).length;
    await expect.poll(failed, { timeout: 15_000 }).toBe(1);
    expect(gateway.told.some((it) => it.devices[0]?.pushkey === "inside")).toBe(false);
    await bare.close();
  });
});

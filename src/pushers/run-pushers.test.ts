import { afterAll, describe, expect, test } from "vitest";
import { changeAccount } from "#src/auth/accounts-stream.ts";
import { findAccount } from "#src/auth/find-account.ts";
import { parseUserId } from "#src/kit/identifiers.ts";
import { asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";
import { pushing, pushingHouse } from "./testing.ts";

const { gateway, hs, ask, user, roomOf, say, read, close } = await pushingHouse();
afterAll(close);

describe("a pusher", () => {
  test("loses nothing while its gateway is down, and repeats nothing that was read meanwhile", async () => {
    const [alice, bob] = [await user("alice"), await user("bob")];
    const roomId = await roomOf(alice, bob);
    const other = await roomOf(alice, bob);
    await bob.setPusher();
    gateway.status = 503;
    const seen = await say(alice, other);
    const events: string[] = [];
    for (let count = 0; count < 25; count++) events.push(await say(alice, roomId));
    const failures = async () =>
      (
        await hs.sql<{ failures: number }[]>`
          select failures from pushers where pushkey = ${bob.pushkey}`
      )[0]?.failures ?? 0;
    await expect.poll(failures, { timeout: 15_000 }).toBeGreaterThan(1);
    await read(bob, other, seen);
    // What is on its way was made before that.
    await expect.poll(failures, { timeout: 15_000 }).toBeGreaterThan(await failures());
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
    await hs.sql`
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

  test("tells of each event once, also where its gateway says null of those whom it rejects", async () => {
    const [alice, bob] = [await user("alice"), await user("bob")];
    const roomId = await roomOf(alice, bob);
    await bob.setPusher();
    gateway.rejected = null;
    const events = [await say(alice, roomId), await say(alice, roomId)];
    await bob.toldOf(events.at(-1) ?? "");
    gateway.rejected = [];
    expect(bob.told().flatMap((it) => it.event_id ?? [])).toEqual(events);
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
    expect(pushers[0]?.["org.matrix.msc3881.enabled"]).toBe(true);
  });

  test("tells a locked account nothing, and then what comes once it is open again", async () => {
    const [alice, bob, carol] = [await user("alice"), await user("bob"), await user("carol")];
    const roomId = await roomOf(alice, bob, carol);
    await bob.setPusher();
    await carol.setPusher();
    const heard = await say(alice, roomId);
    await bob.toldOf(heard);
    const { user_id } = (await ask("GET", "account/whoami", { token: bob.token })).body;
    const bobId = parseUserId(user_id);
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
      pushing,
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

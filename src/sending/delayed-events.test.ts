import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signEvent } from "#src/events/event-signatures.ts";
import { ROOM_VERSIONS, type RoomVersionRules } from "#src/events/room-versions.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Remotes } from "#src/homeserver/remotes.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import { signingKeyFromSeed } from "#src/kit/signed-json.ts";
import { type Ask, asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { manageDelayedEvent } from "./manage-delayed-event.ts";
import { runDelayedEvents } from "./run-delayed-events.ts";

/** Two processes on one database, of which neither sends what is due until the test says so. */
let homes: TestHomeservers;
let ask: Ask;
let token: string;

beforeAll(async () => {
  homes = await testHomeservers(2, LENIENT);
  ask = asking(homes.hs);
  token = (await registered(ask, "alice")).access_token as string;
});
afterAll(async () => await homes.close());

async function newRoom(): Promise<string> {
  return (await ask("POST", "createRoom", { token, body: {} })).body.room_id as string;
}

let transactions = 0;
async function delay(roomId: string, delayMs: number, n: number): Promise<string> {
  const path = `rooms/${roomId}/send/org.example/${++transactions}?org.matrix.msc4140.delay=${delayMs}`;
  return (await ask("PUT", path, { token, body: { n } })).body.delay_id as string;
}

async function sentTo(roomId: string): Promise<number[]> {
  const { body } = await ask("GET", `rooms/${roomId}/messages?dir=b&limit=200`, { token });
  return body.chunk
    .filter((it) => it.type === "org.example")
    .map((it) => Number(it.content["n"]))
    .toReversed();
}

/** Has processes send what is due, until something holds. */
async function sending(all: readonly Homeserver[], until: () => Promise<unknown>): Promise<void> {
  const stopping = new AbortController();
  const ends = all.map(async (hs) => await runDelayedEvents({ ...hs, stopping: stopping.signal }));
  try {
    await until();
  } finally {
    stopping.abort();
    await Promise.all(ends);
  }
}

describe("delayed events", () => {
  test("say at once that their content is none that an event can have", async () => {
    const strict = await newRoom();
    const body = { room_version: "5" };
    const lax = (await ask("POST", "createRoom", { token, body })).body.room_id as string;
    const scheduled = async (roomId: string, n: unknown) => {
      const path = `rooms/${roomId}/send/org.example/${++transactions}?org.matrix.msc4140.delay=60000`;
      return await ask("PUT", path, { token, body: { n } });
    };
    const refused = { status: 400, body: { errcode: "M_BAD_JSON" } };
    expect(await scheduled(strict, 1.5)).toMatchObject(refused);
    expect(await scheduled(strict, "\ud800")).toMatchObject(refused);
    expect(await scheduled(lax, 1.5)).toMatchObject({ status: 200 });
  });

  test("are no more at a time than one may have, also of requests at once", async () => {
    const { maxScheduled } = homes.hs.config.delayedEvents;
    const many = (await registered(ask, "many")).access_token as string;
    const roomId = (await ask("POST", "createRoom", { token: many, body: {} })).body.room_id;
    const asks = homes.all.map((hs) => asking(hs));
    const answers = await Promise.all(
      Array.from({ length: maxScheduled + 20 }, async (_, n) => {
        const path = `rooms/${roomId}/send/org.example/at-once-${n}?org.matrix.msc4140.delay=60000`;
        return await (asks[n % 2] ?? ask)("PUT", path, { token: many, body: {} });
      }),
    );
    expect(answers.filter((it) => it.status === 200)).toHaveLength(maxScheduled);
  });

  test("wait for no room whose policy server does not answer", async () => {
    const [slow, quick] = [await newRoom(), await newRoom()];
    const { hs } = homes;
    const { publicKey } = signingKeyFromSeed("ed25519:policy_server", Buffer.alloc(32, 7));
    const policy = { via: hs.name, public_keys: { ed25519: unpaddedBase64(publicKey) } };
    await ask("PUT", `rooms/${slow}/state/m.room.policy/`, { token, body: policy });
    await delay(slow, 1, 1);
    await delay(quick, 300, 2);
    const asked: (() => void)[] = [];
    const askPolicyServerToSign = async () =>
      await new Promise<{ ok: false; why: "unreachable"; cause: string }>((resolve) => {
        asked.push(() => resolve({ ok: false, why: "unreachable", cause: "silence" }));
      });
    const waiting = { ...hs, remotes: { ...hs.remotes, askPolicyServerToSign } };
    await sending([waiting], async () => {
      await expect.poll(() => asked.length, { timeout: 15_000 }).toBeGreaterThan(0);
      await expect.poll(async () => await sentTo(quick), { timeout: 15_000 }).toEqual([2]);
      for (const answer of asked) answer();
    });
  });

  test("are sent when a policy server answers again that did not, unless that takes too long", async () => {
    const { hs } = homes;
    const key = signingKeyFromSeed("ed25519:policy_server", Buffer.alloc(32, 7));
    const policy = { via: hs.name, public_keys: { ed25519: unpaddedBase64(key.publicKey) } };
    const [roomId, given] = [await newRoom(), await newRoom()];
    for (const it of [roomId, given]) {
      await ask("PUT", `rooms/${it}/state/m.room.policy/`, { token, body: policy });
    }
    const [late, tooLate] = [await delay(roomId, 1, 1), await delay(given, 1, 1)];
    for (const [id, byMs] of [
      [late, 60_001],
      [tooLate, 7_200_000],
    ] as const) {
      await hs.sql`
        update delayed_events set scheduled_ms = scheduled_ms - ${byMs}::bigint where delay_id = ${id}`;
    }
    let isThere = false;
    const askPolicyServerToSign: Remotes["askPolicyServerToSign"] = async (_server, { event }) => {
      if (!isThere) {
        return await Promise.resolve({ ok: false, why: "unreachable", cause: "silence" });
      }
      const signed = signEvent(event, ROOM_VERSIONS.get("12") as RoomVersionRules, hs.name, key);
      const { [hs.name]: its = {} } = signed.signatures as Record<string, Record<string, string>>;
      return { ok: true, body: new Map([[hs.name, new Map(Object.entries(its))]]) };
    };
    const state = async (delayId: string) =>
      (
        await hs.sql`
          select ended_ms is not null as ended, event_id is not null as sent, due_ms > scheduled_ms + 61000 as "putOff"
          from delayed_events where delay_id = ${delayId}`
      )[0];
    const asking = { ...hs, remotes: { ...hs.remotes, askPolicyServerToSign } };
    await sending([asking], async () => {
      await expect
        .poll(async () => await state(late))
        .toMatchObject({ ended: false, putOff: true });
      await expect
        .poll(async () => await state(tooLate))
        .toMatchObject({ ended: true, sent: false });
      isThere = true;
      await hs.sql`update delayed_events set due_ms = 1 where delay_id = ${late}`;
    });
    await sending([asking], async () => {
      await expect.poll(async () => await state(late)).toMatchObject({ ended: true, sent: true });
    });
    expect(await sentTo(roomId)).toEqual([1]);
  });

  test("that came due while nobody was there are sent in their order, each once", async () => {
    const roomId = await newRoom();
    const order = Array.from({ length: 80 }, (_, n) => n);
    // Made in another order than the one in which they are due.
    for (const n of order.toReversed()) await delay(roomId, 1 + n, n);
    await sending(
      homes.all,
      async () =>
        await expect
          .poll(async () => (await sentTo(roomId)).length, { timeout: 30_000 })
          .toBe(order.length),
    );
    const [{ outOfOrder } = { outOfOrder: -1 }] = await homes.hs.sql<{ outOfOrder: number }[]>`
      select count(*) as "outOfOrder" from (
        select due_ms, lag(due_ms) over (order by events.event_key) as before
        from delayed_events join events on events.event_id = delayed_events.event_id
          join rooms on rooms.room_key = events.room_key where room_id = ${roomId}) as sent
      where due_ms < before`;
    expect(outOfOrder).toBe(0);
    expect((await sentTo(roomId)).toSorted((a, b) => a - b)).toEqual(order);
  });

  test("of a process that has died are sent by another, and not twice", async () => {
    const roomId = await newRoom();
    const [unsent, sent] = [await delay(roomId, 1, 1), await delay(roomId, 1, 2)];
    // It died before it sent the one, and after it sent the other, of which it could note nothing.
    await manageDelayedEvent(homes.hs, sent, "send");
    await homes.hs.sql`
      update delayed_events set leased_until_ms = ${homes.hs.now() + 300}, ended_ms = null, event_id = null
      where delay_id in (${unsent}, ${sent})`;
    await sending(
      homes.all.slice(1),
      async () =>
        await expect
          .poll(
            async () =>
              (
                await homes.hs.sql`
              select from delayed_events
              where delay_id in (${unsent}, ${sent}) and event_id is not null`
              ).length,
            { timeout: 20_000 },
          )
          .toBe(2),
    );
    expect((await sentTo(roomId)).toSorted((a, b) => a - b)).toEqual([1, 2]);
  });

  test("cannot both be cancelled and sent", async () => {
    const roomId = await newRoom();
    const ids: string[] = [];
    for (let n = 0; n < 20; n++) ids.push(await delay(roomId, 600_000, n));
    const outcomes = await Promise.all(
      ids.map(async (id) => {
        const [one, other] = homes.all;
        if (!one || !other) throw new Error("two homeservers are needed");
        const done = await Promise.allSettled([
          manageDelayedEvent(one, id, "send"),
          manageDelayedEvent(other, id, "cancel"),
        ]);
        return done.map((it) => it.status === "fulfilled");
      }),
    );
    expect(outcomes.filter(([wasSent, wasCancelled]) => wasSent === wasCancelled)).toEqual([]);
    expect(await sentTo(roomId)).toHaveLength(outcomes.filter(([wasSent]) => wasSent).length);
  });
});

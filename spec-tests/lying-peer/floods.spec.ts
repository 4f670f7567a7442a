import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isOutside } from "../homeserver-under-test.ts";
import { type BesiegedRoom, openSiege, type Siege } from "./siege.ts";

const MEGABYTE = 1024 * 1024;

/** How much more memory a server may need under a flood, in MiB: what may be held of bodies, twice, and a little. */
const MOST_MORE_MIB = 600;

/** How long somebody else may have to wait meanwhile. */
const MOST_WAITING_MS = 5_000;

let siege: Siege;
let room: BesiegedRoom;

/** Watches the memory while something goes on. @returns how much more it was at the most, in MiB */
async function mostMore(during: () => Promise<void>): Promise<number> {
  const before = siege.memory();
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, siege.memory())), 50);
  try {
    await during();
  } finally {
    clearInterval(watch);
  }
  return most - before;
}

/** Asks something of the server as one who has nothing to do with the liar. @returns how long it took */
async function bystanderWaits(): Promise<number> {
  const begun = performance.now();
  const path = `/v3/rooms/${encodeURIComponent(room.roomId)}/send/m.room.message/${Math.random()}`;
  const { status } = await siege.victim.call("PUT", path, { msgtype: "m.text", body: "hello" });
  expect(status).toBe(200);
  return performance.now() - begun;
}

describe.skipIf(isOutside)("a server that sends too much", () => {
  beforeAll(async () => {
    siege = await openSiege();
    room = await siege.joinedRoom();
  }, 60_000);
  afterAll(async () => await siege?.close());

  test("holds up nobody with requests that do not end", async () => {
    const { hostname, port } = new URL(siege.server.url);
    const head = [
      "PUT /_matrix/federation/v1/send/slow HTTP/1.1",
      `Host: ${hostname}`,
      `Authorization: X-Matrix origin="${siege.liar.name}",key="ed25519:1",sig="AA"`,
      `Content-Length: ${15 * MEGABYTE}`,
      "",
      "",
    ].join("\r\n");
    const piece = Buffer.alloc(10 * MEGABYTE, " ");
    const more = await mostMore(async () => {
      const sockets = Array.from({ length: 300 }, (_, n) => {
        const socket = connect(Number(port), hostname);
        socket.on("error", () => {});
        // Some do not even come to the end of their headers.
        socket.write(n % 3 === 0 ? head.slice(0, 60) : head);
        if (n % 3 === 1) socket.write(piece);
        return socket;
      });
      try {
        await sleep(2_000);
        expect(await bystanderWaits()).toBeLessThan(MOST_WAITING_MS);
        // Others that are no liars are heard, too.
        expect((await siege.liar.send({})).status).toBeLessThan(500);
      } finally {
        for (const it of sockets) it.destroy();
      }
    });
    expect(more).toBeLessThan(MOST_MORE_MIB);
    await expect
      .poll(async () => (await siege.liar.send({})).status, { timeout: 30_000 })
      .toBe(200);
  }, 90_000);

  test("is told to wait when it sends many large transactions at once", async () => {
    const junk = { edu_type: "org.example.junk", content: { text: "x".repeat(140_000) } };
    const edus = Array.from({ length: 100 }, () => junk);
    const statuses: number[] = [];
    const more = await mostMore(async () => {
      const sending = Array.from({ length: 30 }, async () => {
        statuses.push((await siege.liar.send({ edus })).status);
      });
      await sleep(300);
      expect(await bystanderWaits()).toBeLessThan(MOST_WAITING_MS);
      await Promise.all(sending);
    });
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
    expect(more).toBeLessThan(MOST_MORE_MIB);
  }, 60_000);

  test("does no harm by floods of what is told beside events", async () => {
    const { liar, victim } = siege;
    const typing = (n: number) => ({
      edu_type: "m.typing",
      content: { room_id: room.roomId, user_id: liar.user(`typist${n}`), typing: true },
    });
    const receipts = {
      edu_type: "m.receipt",
      content: Object.fromEntries(
        Array.from({ length: 900 }, (_, n) => [
          n === 0 ? room.roomId : `!r${n}:${liar.name}`,
          {
            "m.read": Object.fromEntries(
              Array.from({ length: 50 }, (_unused, m) => [
                liar.user(`reader${m}`),
                { event_ids: [room.joined], data: { ts: 1, more: "x".repeat(100) } },
              ]),
            ),
          },
        ]),
      ),
    };
    const devices = (n: number) => ({
      edu_type: "m.device_list_update",
      content: {
        user_id: liar.user("creator"),
        device_id: `D${n}`,
        stream_id: n * 3,
        prev_id: Array.from({ length: 900 }, (_, m) => m),
        keys: { lies: "x".repeat(10_000) },
      },
    });
    const presence = {
      edu_type: "m.presence",
      content: {
        push: Array.from({ length: 1_000 }, (_, n) => ({
          user_id: liar.user(`there${n}`),
          presence: "online",
          status_msg: "x".repeat(900),
        })),
      },
    };
    const direct = (n: number) => ({
      edu_type: "m.direct_to_device",
      content: {
        sender: liar.user("creator"),
        type: "org.example.lie",
        message_id: `m${n}`,
        messages: { [victim.userId]: { "*": { text: "x".repeat(60_000) }, [`NONE${n}`]: {} } },
      },
    });
    const many = (of: (n: number) => object) => Array.from({ length: 100 }, (_, n) => of(n));
    const floods = [
      many(typing),
      [receipts],
      many(devices),
      Array.from({ length: 5 }, () => presence),
      many(direct),
      many((n) => ({ edu_type: `org.example.${n}`, content: {} })),
    ];
    const more = await mostMore(async () => {
      for (let round = 0; round < 2; round++) {
        for (const edus of floods) {
          const begun = performance.now();
          expect((await liar.send({ edus })).status).toBe(200);
          expect(performance.now() - begun).toBeLessThan(20_000);
        }
      }
    });
    expect(more).toBeLessThan(MOST_MORE_MIB);
    expect(await bystanderWaits()).toBeLessThan(MOST_WAITING_MS);
    const { status } = await victim.call("GET", "/v3/sync");
    expect(status).toBe(200);
  }, 90_000);
});

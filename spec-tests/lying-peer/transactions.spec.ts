import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { contentHash } from "#src/events/event-hash.ts";
import { signEvent } from "#src/events/event-signatures.ts";
import type { WireEvent } from "#src/events/pdu.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { signingKeyFromSeed } from "#src/kit/signed-json.ts";
import type { RemoteRoom } from "#src/rooms/received/testing.ts";
import { isOutside } from "../homeserver-under-test.ts";
import type { TransactionAnswer, WirePdu } from "../server-server/server-answers.ts";
import type { Liar } from "./liar.ts";
import { type BesiegedRoom, openSiege, type Siege } from "./siege.ts";

let siege: Siege;
let room: BesiegedRoom;
let last: EventId;

/** One more event of the liar's, as it would be if the liar kept to the rules. */
function next(body: string, prev: readonly EventId[] = [last]): EventId {
  const draft = { type: "m.room.message", content: { msgtype: "m.text", body } };
  return room.remote.add(siege.liar.user("creator"), draft, prev);
}

/** Sends events with a good one after them, which must be taken whatever the others are. @returns what was said of each */
async function sendWithGoodOne(pdus: readonly unknown[]) {
  const body = `good ${Math.random()}`;
  const good = next(body);
  const transaction = { origin: siege.liar.name, origin_server_ts: 5, edus: [] };
  const path = `/_matrix/federation/v1/send/${encodeURIComponent(body)}`;
  const said = { ...transaction, pdus: [...pdus, room.wire(good)] };
  const how = { text: JSON.stringify(said) };
  const answer = await siege.liar.ask<TransactionAnswer>("PUT", path, said, how);
  expect(answer.status).toBe(200);
  expect(answer.body.pdus[good]).toEqual({});
  expect((await room.seen())[0]).toBe(body);
  last = good;
  return answer.body.pdus;
}

describe.skipIf(isOutside)("a server that lies in what it sends", () => {
  beforeAll(async () => {
    siege = await openSiege();
    room = await siege.joinedRoom();
    last = room.joined;
  }, 60_000);
  afterAll(async () => await siege?.close());

  test("is not taken for another, and nobody else for it", async () => {
    const { liar } = siege;
    const send = async (how: object) => {
      const body = { pdus: [], edus: [] };
      const { status, body: said } = await liar.ask(
        "PUT",
        "/_matrix/federation/v1/send/forged",
        body,
        how,
      );
      return [status, said.errcode];
    };
    const refused = [401, "M_UNAUTHORIZED"];
    expect(await send({ origin: "127.0.0.1:1" })).toEqual(refused);
    expect(await send({ origin: siege.name })).toEqual(refused);
    expect(await send({ origin: "no server's name" })).toEqual(refused);
    expect(await send({ destination: "other.test" })).toEqual(refused);
    const otherKey = signingKeyFromSeed(liar.key.keyId, Buffer.alloc(32, "other"));
    expect(await send({ key: otherKey })).toEqual(refused);
    const unknownKey = signingKeyFromSeed("ed25519:unknown", Buffer.alloc(32, "other"));
    expect(await send({ key: unknownKey })).toEqual(refused);
    expect(await send({ text: '{"pdus":[],"edus":[],"more":1}' })).toEqual([200, undefined]);
  });

  test("changes nothing by a transaction that is sent again", async () => {
    const id = next("once");
    const said = { pdus: [room.wire(id)], txnId: "again" };
    const first = await siege.liar.send(said);
    expect(first).toEqual({ status: 200, body: { pdus: { [id]: {} } } });
    last = id;
    const other = next("never");
    expect(await siege.liar.send({ ...said, pdus: [room.wire(other)] })).toEqual(first);
    expect((await room.seen()).filter((it) => it === "once" || it === "never")).toEqual(["once"]);
  });

  test("says nothing by events that are not signed as they must be", async () => {
    const forged = (change: (wire: WirePdu) => Partial<WirePdu>) => {
      const wire = room.wire(next("forged"));
      return { ...wire, ...change(wire) };
    };
    const madeUp = { "ed25519:1": "A".repeat(86) };
    const said = await sendWithGoodOne([
      forged(() => ({ signatures: { [siege.liar.name]: madeUp } })),
      forged(() => ({ signatures: {} })),
      forged(() => ({ signatures: { [siege.name]: madeUp } })),
      forged(() => ({ sender: siege.victim.userId })),
      forged(({ depth }) => ({ depth: depth + 1 })),
      forged(() => ({ room_id: "!other:room.test" })),
    ]);
    expect(await room.seen()).not.toContain("forged");
    const errors = Object.values(said).filter((it) => it.error !== undefined);
    expect(errors.length).toBeGreaterThanOrEqual(4);
  });

  test("has only what its hash covers kept of an event that was changed", async () => {
    const wire = room.wire(next("as it was"));
    const content = { ...wire.content, body: "as it was changed" };
    await sendWithGoodOne([{ ...wire, content }]);
    const seen = await room.seen();
    expect(seen).not.toContain("as it was changed");
    expect(seen).not.toContain("as it was");
  });

  test("does no harm by what is no event", async () => {
    const wire = room.wire(next("nonsense"));
    const nested = (depth: number) => JSON.parse(`${"[".repeat(depth)}${"]".repeat(depth)}`);
    await sendWithGoodOne([
      null,
      5,
      "text",
      [],
      {},
      { ...wire, content: null },
      { ...wire, content: { body: "x".repeat(70_000) } },
      { ...wire, content: { deep: nested(499) } },
      { ...wire, content: { text: "\0" } },
      { ...wire, type: "x".repeat(300) },
      { ...wire, room_id: "!\0:x" },
      { ...wire, depth: 2 ** 53 - 1 },
      { ...wire, depth: -5 },
      { ...wire, prev_events: Array.from({ length: 5_000 }, (_, n) => `$${n}`) },
      { ...wire, auth_events: Array.from({ length: 5_000 }, (_, n) => `$${n}`) },
      { ...wire, prev_events: {} },
      { ...wire, hashes: [] },
      { ...wire, signatures: { [siege.liar.name]: [] } },
    ]);
    expect(await room.seen()).not.toContain("nonsense");
    // Nobody signs this, so it may be anything.
    const odd = room.wire(next("oddly aged"));
    await sendWithGoodOne([{ ...odd, unsigned: { age: "old", more: nested(100) } }]);
    expect(await room.seen()).toContain("oddly aged");
  });

  test("does no harm by bodies that are hard to read", async () => {
    const put = async (text: string) => {
      const path = `/_matrix/federation/v1/send/hard${Math.random()}`;
      const { status, body } = await siege.liar.ask("PUT", path, {}, { text });
      return [status, body.errcode];
    };
    const deep = "[".repeat(5_000_000);
    expect(await put('{"pdus":')).toEqual([400, "M_NOT_JSON"]);
    const isTooDeep = [400, "M_BAD_JSON"];
    expect(await put(`{"pdus":${deep}${"]".repeat(5_000_000)}}`)).toEqual(isTooDeep);
    const isTooMuch = [413, "M_TOO_LARGE"];
    expect(await put(`{"pdus":[${"1,".repeat(5_000_000)}1]}`)).toEqual(isTooMuch);
    expect(await put(`{"pdus":[${"1,".repeat(50)}1]}`)).toEqual([400, "M_BAD_JSON"]);
    expect(await put(`{"edus":[${"{},".repeat(101)}{}]}`)).toEqual([400, "M_BAD_JSON"]);
    expect(await put(" ".repeat(17 * 1024 * 1024))).toEqual(isTooMuch);
    expect(await put('{"pdus":"none"}')).toEqual([400, "M_BAD_JSON"]);
    expect(await put(String.raw`{"\u0000":1,"pdus":[{"room_id":"\ud800"}]}`)).toEqual([
      200,
      undefined,
    ]);
    await sendWithGoodOne([]);
  }, 60_000);

  test("does not make us ask without end for what leads to its events", async () => {
    const { liar } = siege;
    const before = liar.asked.length;
    // Each event that we ask for follows another one that we do not have.
    let made = 0;
    const hidden = (): EventId => next(`hidden ${made++}`, [last]);
    liar.answer(({ path }) => {
      if (!path.includes("/get_missing_events/")) return undefined;
      const far = room.remote.add(
        liar.user("creator"),
        { type: "m.room.message", content: { msgtype: "m.text", body: `far ${made++}` } },
        [hidden()],
      );
      return { json: { events: [room.wire(far)] } };
    });
    const id = next("far away", [hidden()]);
    const begun = performance.now();
    expect((await liar.send({ pdus: [room.wire(id)] })).status).toBe(200);
    expect(performance.now() - begun).toBeLessThan(30_000);
    expect(liar.asked.length - before).toBeLessThan(200);
    liar.answer(() => undefined);
    await sendWithGoodOne([]);
  }, 60_000);

  test("cannot make the room slow by events that all follow the same one", async () => {
    const base = last;
    const times: number[] = [];
    for (let batch = 0; batch < 20; batch++) {
      const ids = Array.from({ length: 50 }, (_, n) => next(`fork ${batch} ${n}`, [base]));
      const begun = performance.now();
      const { status } = await siege.liar.send({ pdus: ids.map(room.wire) });
      times.push(performance.now() - begun);
      expect(status).toBe(200);
    }
    // The last thousand are no harder than the first.
    const sumOf = (its: readonly number[]) => its.reduce((sum, it) => sum + it, 0);
    expect(sumOf(times.slice(10))).toBeLessThan(5 * sumOf(times.slice(0, 10)) + 1_000);

    const path = `/v3/rooms/${encodeURIComponent(room.roomId)}/send/m.room.message/after`;
    const begun = performance.now();
    const sent = await siege.victim.call("PUT", path, { msgtype: "m.text", body: "still here" });
    expect(sent.status).toBe(200);
    expect(performance.now() - begun).toBeLessThan(8_000);
    const pdu = (await room.seen())[0];
    expect(pdu).toBe("still here");
  }, 60_000);
});

/** An event that the liar has changed, and signs as it is now. */
function resigned(event: object, { rules }: RemoteRoom, liar: Liar): object {
  const { hashes: _, signatures: __, ...rest } = event as WireEvent;
  const wire = { ...rest, hashes: { sha256: contentHash(rest) } };
  return signEvent(wire, rules, liar.name, liar.key);
}

describe.skipIf(isOutside)("events that lead to each other in a circle", () => {
  test("are not taken, and nobody waits for them", async () => {
    const circling = await openSiege();
    try {
      // Only in the first two versions of rooms can an event name one that names it.
      const { remote, wire, joined, seen } = await circling.joinedRoom("1");
      const { liar } = circling;
      const draft = { type: "m.room.message", content: { msgtype: "m.text", body: "circle" } };
      const one = remote.add(liar.user("creator"), draft, [joined]);
      const other = remote.add(liar.user("creator"), draft, [one]);
      const reference = (id: EventId) => [id, { sha256: "A".repeat(43) }];
      const named = [reference(other)];
      const changed = resigned(
        { ...wire(one), prev_events: named, auth_events: named },
        remote,
        liar,
      );
      const events = [changed, wire(other)];
      liar.answer(({ path }) => {
        if (path.includes("/get_missing_events/")) return { json: { events } };
        if (path.includes("/event_auth/")) return { json: { auth_chain: events } };
        if (path.includes("/state_ids/")) {
          return { json: { pdu_ids: [one, other], auth_chain_ids: [one, other] } };
        }
        if (path.includes("/state/")) return { json: { pdus: events, auth_chain: events } };
        return undefined;
      });
      const begun = performance.now();
      expect((await liar.send({ pdus: [changed] })).status).toBe(200);
      expect((await liar.send({ pdus: events })).status).toBe(200);
      expect(performance.now() - begun).toBeLessThan(20_000);
      expect(await seen()).not.toContain("circle");
    } finally {
      await circling.close();
    }
  }, 90_000);
});

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { receivePdus } from "#federation/inbound/receive-pdu.ts";
import { type Peer, sharedRoom, testPeer } from "#federation/inbound/testing.ts";
import { testFederation } from "#federation/testing.ts";
import { signEvent } from "#src/events/event-signatures.ts";
import type { WireEvent } from "#src/events/pdu.ts";
import { ROOM_VERSIONS, type RoomVersionRules } from "#src/events/room-versions.ts";
import { message } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { signatureBy, type SigningKey, signingKeyFromSeed } from "#src/kit/signed-json.ts";
import { testUser } from "#src/testing.ts";
import { findEvents } from "../find-event.ts";
import { sendEvent } from "../send-event.ts";
import { EventStatus } from "../stored-event.ts";

const federation = await testFederation();
let hs: Homeserver;
let other: Homeserver;
let peer: Peer;
const SIGN = "/_matrix/policy/v1/sign";
const OLD = "org.matrix.msc4284.policy";
const OLD_SIGN = "/_matrix/policy/unstable/org.matrix.msc4284/sign";
/** The one path that the policy server knows. */
let signPath: string;
/** What the policy server was asked to sign. */
const seen: WireEvent[] = [];

const key = signingKeyFromSeed("ed25519:policy_server", Buffer.alloc(32, 7));
const wrongKey = signingKeyFromSeed("ed25519:policy_server", Buffer.alloc(32, 8));
const rulesOf = (version: string) => ROOM_VERSIONS.get(version) as RoomVersionRules;

beforeAll(async () => {
  const opened = await federation.open({ processes: 2 });
  [hs, other] = opened.all as [Homeserver, Homeserver];
  peer = await testPeer(federation);
});
beforeEach(() => {
  seen.length = 0;
  signPath = SIGN;
  signs(() => key);
});
afterAll(async () => await federation.close());

/** Says with which key, if any, the policy server signs an event. */
function signs(keyFor: (body: string) => SigningKey | object, version = "12"): void {
  peer.answer(({ path, body }) => {
    if (path !== signPath) return undefined;
    seen.push(body as WireEvent);
    const { body: text } = body["content"] as { body?: string };
    const by = keyFor(text ?? "");
    if (!("privateKey" in by)) return by;
    const { signatures } = signEvent(
      body as WireEvent,
      rulesOf(version),
      peer.name,
      by as SigningKey,
    );
    const own = (signatures as Record<string, Record<string, string>>)[peer.name] ?? {};
    return { [peer.name]: { [key.keyId]: own[key.keyId] } };
  });
}

const policy = (content: object, type = "m.room.policy") => ({
  type,
  state_key: "",
  content: content as {},
});
const enabled = () =>
  policy({ via: peer.name, public_keys: { ed25519: unpaddedBase64(key.publicKey) } });

async function policedRoom(version = "12") {
  return await sharedRoom(hs, peer, { version, state: [enabled()] });
}

async function send(on: Homeserver, shared: { room: { roomId: string } }, body: string) {
  const sender = await testUser(on, "local");
  return await sendEvent(on, { sender, room: shared.room as never, draft: message(body) });
}

async function stored(id: EventId) {
  return (await findEvents(hs, [id])).get(id);
}

const hasSigned = (wire: WireEvent | undefined) =>
  signatureBy(wire?.["signatures"], peer.name, key.keyId) !== undefined;

describe("what is sent to a room with a policy server", () => {
  test.each(["1", "11", "12"])("is signed by it first: version %s", async (version) => {
    signs(() => key, version);
    const shared = await policedRoom(version);
    const id = await send(hs, shared, "hello");
    expect(seen).toHaveLength(1);
    const event = await stored(id);
    expect(event?.status).toBe(EventStatus.accepted);
    expect(hasSigned(event?.wire)).toBe(true);
    expect(Object.keys(event?.wire["signatures"] as object)).toContain(hs.name);
  });

  test("is refused with what that says, and is not sent", async () => {
    const shared = await policedRoom();
    signs(() => ({ errcode: "M_FORBIDDEN", error: "No", status: 400 }));
    await expect(send(hs, shared, "spam")).rejects.toMatchObject({ status: 502 });
    signs(() => wrongKey);
    await expect(send(hs, shared, "spam")).rejects.toMatchObject({ status: 502 });
    peer.answer(() => undefined);
    // Nothing that a sender would take to be about the room, or about what they asked us.
    await expect(send(hs, shared, "spam")).rejects.toMatchObject({
      status: 403,
      errcode: "M_FORBIDDEN",
      message: expect.stringContaining(peer.name),
    });
    const rows = await hs.sql`
      select from events where room_key = ${shared.room.roomKey} and type = 'm.room.message'`;
    expect(rows).toHaveLength(0);
  });

  test("is signed by it, too, where the room names it as was done before it was specified", async () => {
    signPath = OLD_SIGN;
    const { publicKey } = key;
    const public_key = unpaddedBase64(publicKey);
    for (const keys of [{ public_key }, { public_keys: { ed25519: public_key } }]) {
      const shared = await sharedRoom(hs, peer, {
        version: "12",
        state: [policy({ via: peer.name, ...keys }, OLD)],
      });
      const event = await stored(await send(hs, shared, "hello"));
      expect(hasSigned(event?.wire)).toBe(true);
    }
    expect(seen).toHaveLength(2);
    // Whoever has said something else since means that.
    const state = [policy({ via: peer.name, public_key }, OLD), policy({})];
    const changed = await sharedRoom(hs, peer, { version: "12", state });
    expect(hasSigned((await stored(await send(hs, changed, "free")))?.wire)).toBe(false);
    expect(seen).toHaveLength(2);
  });

  test("makes one chain, whichever process it is sent through", async () => {
    const shared = await policedRoom();
    const ids = await Promise.all(
      Array.from({ length: 8 }, async (_, index) => {
        return await send(index % 2 === 0 ? hs : other, shared, `${index}`);
      }),
    );
    const rows = await hs.sql<{ extremities: number[] }[]>`
      select extremities from rooms where room_key = ${shared.room.roomKey}`;
    expect(rows[0]?.extremities).toHaveLength(1);
    const depths = await hs.sql<{ depth: number }[]>`
      select depth from events where event_id = any(${ids}::text[])`;
    expect(new Set(depths.map((it) => it.depth)).size).toBe(8);
  });

  test("goes without it where the policy server is not in the room, or is none", async () => {
    const absent = policy({
      via: "else.test",
      public_keys: { ed25519: unpaddedBase64(key.publicKey) },
    });
    for (const state of [absent, policy({ via: peer.name }), policy({})]) {
      const shared = await sharedRoom(hs, peer, { state: [state] });
      expect((await stored(await send(hs, shared, "free")))?.status).toBe(EventStatus.accepted);
    }
    expect(seen).toEqual([]);
  });
});

describe("what comes to a room with a policy server", () => {
  test("is signed by it, or asked to be; else it is soft-failed", async () => {
    const shared = await policedRoom();
    const { remote, joined, wire } = shared;
    signs((body) => (body === "spam" ? {} : key));
    const creator = peer.user("creator");
    const good = remote.add(creator, message("good"), [joined]);
    const spam = remote.add(creator, message("spam"), [joined]);
    const signed = remote.add(creator, message("signed"), [joined]);
    const ready = signEvent(wire(signed) as WireEvent, remote.rules, peer.name, key);
    await peer.send(hs, [wire(good), wire(spam), ready]);
    expect(seen.map((it) => (it["content"] as { body: string }).body).toSorted()).toEqual([
      "good",
      "spam",
    ]);
    expect((await stored(good))?.status).toBe(EventStatus.accepted);
    expect(hasSigned((await stored(good))?.wire)).toBe(true);
    expect((await stored(signed))?.status).toBe(EventStatus.accepted);
    expect((await stored(spam))?.status).toBe(EventStatus.softFailed);
    // Nobody asks twice about what is known.
    seen.length = 0;
    await peer.send(hs, [wire(good), wire(spam)]);
    expect(seen).toEqual([]);
  });

  test("is soft-failed also if it looks like what says who polices the room, and does not say it", async () => {
    const { remote, joined, wire } = await policedRoom();
    peer.answer(() => undefined);
    const creator = peer.user("creator");
    const older = remote.add(creator, policy({}, OLD), [joined]);
    const keyed = remote.add(creator, { ...policy({}), state_key: "x" }, [joined]);
    await peer.send(hs, [wire(older), wire(keyed)]);
    for (const id of [older, keyed]) {
      expect((await stored(id))?.status).toBe(EventStatus.softFailed);
    }
  });

  test("waits if there was no time to ask, as when the homeserver stops", async () => {
    const { room, remote, joined, wire } = await policedRoom();
    const late = remote.add(peer.user("creator"), message("late"), [joined]);
    const how = { origin: peer.name, until: AbortSignal.abort() };
    const { receipts, passed } = await receivePdus(hs, room, [wire(late)], how);
    expect(passed).toHaveLength(1);
    expect(receipts.get(late)).toBeUndefined();
    expect(seen).toEqual([]);
    await peer.send(hs, [wire(late)]);
    expect((await stored(late))?.status).toBe(EventStatus.accepted);
  });

  test("may end its being policed without asking", async () => {
    const { remote, joined, wire, room } = await policedRoom();
    peer.answer(() => undefined);
    const ends = remote.add(peer.user("creator"), policy({}), [joined]);
    const free = remote.add(peer.user("creator"), message("free"), [ends]);
    await peer.send(hs, [wire(ends)]);
    await peer.send(hs, [wire(free)]);
    expect((await stored(free))?.status).toBe(EventStatus.accepted);
    expect((await stored(await send(hs, { room }, "free too")))?.status).toBe(EventStatus.accepted);
  });

  test("is soft-failed when it has waited for something, too", async () => {
    const { remote, joined, wire } = await policedRoom();
    signs((body) => (body === "waits" ? {} : key));
    const lost = remote.add(peer.user("creator"), message("lost"), [joined]);
    const waits = remote.add(peer.user("creator"), message("waits"), [lost]);
    await peer.send(hs, [wire(waits)]);
    await peer.send(hs, [wire(lost)]);
    expect((await stored(lost))?.status).toBe(EventStatus.accepted);
    expect((await stored(waits))?.status).toBe(EventStatus.softFailed);
  });
});

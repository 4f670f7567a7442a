import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { signEvent } from "#src/events/event-signatures.ts";
import type { WireEvent } from "#src/events/pdu.ts";
import { ROOM_VERSIONS, type RoomVersionRules } from "#src/events/room-versions.ts";
import { memberDraft, message } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { signatureBy, signingKeyFromSeed } from "#src/kit/signed-json.ts";
import { findEvents } from "#src/rooms/find-event.ts";
import { EventStatus } from "#src/rooms/stored-event.ts";
import { testFederation } from "../testing.ts";
import { settlePdus } from "./job-settle-pdus.ts";
import {
  answersFrom,
  NO_ANSWER,
  type Peer,
  type PeerAnswers,
  sharedRoom,
  testPeer,
} from "./testing.ts";

const federation = await testFederation();
let hs: Homeserver;
let peer: Peer;
/** How often the policy server was asked. */
let asked: number;
const key = signingKeyFromSeed("ed25519:policy_server", Buffer.alloc(32, 7));
const rules = ROOM_VERSIONS.get("12") as RoomVersionRules;

beforeAll(async () => {
  ({ hs } = await federation.open());
  peer = await testPeer(federation);
});
beforeEach(() => {
  asked = 0;
  policyServer("away");
});
afterAll(async () => await federation.close());

/** Has the policy server, which is the peer, be away or sign all that it is asked to. */
function policyServer(does: "away" | "sign", others: PeerAnswers = () => undefined): void {
  peer.answer((request) => {
    if (request.path !== "/_matrix/policy/v1/sign") return others(request);
    asked++;
    if (does === "away") return NO_ANSWER;
    const { signatures } = signEvent(request.body as WireEvent, rules, peer.name, key);
    const own = (signatures as Record<string, Record<string, string>>)[peer.name] ?? {};
    return { [peer.name]: { [key.keyId]: own[key.keyId] } };
  });
}

const policy = (content: object) => ({
  type: "m.room.policy",
  state_key: "",
  content: content as {},
});

async function policedRoom() {
  const public_keys = { ed25519: unpaddedBase64(key.publicKey) };
  return await sharedRoom(hs, peer, { state: [policy({ via: peer.name, public_keys })] });
}

async function settle(): Promise<void> {
  await hs.sql`update unsettled_pdus set due_ms = 0`;
  while ((await settlePdus.run(hs, new AbortController().signal)) === "more");
}

const stored = async (id: EventId) => (await findEvents(hs, [id])).get(id);
const unsettled = () => hs.sql`select from unsettled_pdus`;

describe("an event that the room's policy server cannot be asked about", () => {
  test("waits, and is part of the room once it has been signed", async () => {
    const { remote, wire, joined } = await policedRoom();
    const says = remote.add(peer.user("creator"), message("hello"), [joined]);
    expect((await peer.send(hs, [wire(says)])).body.pdus).toEqual({ [says]: {} });
    await settle();
    expect(await stored(says)).toBeUndefined();
    expect(await unsettled()).toHaveLength(1);

    policyServer("sign");
    await settle();
    const event = await stored(says);
    expect(event?.status).toBe(EventStatus.accepted);
    expect(signatureBy(event?.wire["signatures"], peer.name, key.keyId)).toBeDefined();
    expect(await unsettled()).toEqual([]);
  });

  test("is soft-failed when that has gone on for an hour", async () => {
    const { remote, wire, joined } = await policedRoom();
    const says = remote.add(peer.user("creator"), message("hello"), [joined]);
    await peer.send(hs, [wire(says)]);
    await hs.sql`update unsettled_pdus set received_ms = received_ms - ${61 * 60_000}`;
    await settle();
    expect((await stored(says))?.status).toBe(EventStatus.softFailed);
    expect(await unsettled()).toEqual([]);
  });

  test("holds up none that can be taken in, as the one that ends the policy server's say", async () => {
    const { remote, wire, joined } = await policedRoom();
    policyServer("away", answersFrom(remote));
    const creator = peer.user("creator");
    const first = remote.add(creator, message("first"), [joined]);
    const second = remote.add(creator, message("second"), [first]);
    await peer.send(hs, [wire(first), wire(second)]);
    const ends = remote.add(creator, policy({}), [second]);
    await peer.send(hs, [wire(ends)]);
    const free = remote.add(creator, message("free"), [ends]);
    await peer.send(hs, [wire(free)]);
    expect((await stored(free))?.status).toBe(EventStatus.accepted);
    expect((await stored(first))?.status).toBe(EventStatus.softFailed);
    await settle();
    expect(await unsettled()).toEqual([]);
  });

  test("has a policy server that is away asked about few of many", async () => {
    const { remote, wire, joined } = await policedRoom();
    const says = Array.from({ length: 30 }, (_, index) =>
      remote.add(peer.user("creator"), message(`${index}`), [joined]),
    );
    await peer.send(hs, says.map(wire));
    expect(asked).toBe(10);
    expect(await unsettled()).toHaveLength(30);
    await hs.sql`delete from unsettled_pdus`;
  });

  test("is refused for now to whom it lets into the room", async () => {
    const { remote, joined, room } = await policedRoom();
    const user = peer.user("new");
    const joins = remote.add(user, memberDraft(user, "join"), [joined]);
    const uri = `/_matrix/federation/v2/send_join/${encodeURIComponent(room.roomId)}/${encodeURIComponent(joins)}`;
    const sent = JSON.parse(remote.received(joins).json) as object;
    expect((await peer.ask(hs, "PUT", uri, sent)).status).toBe(502);
    expect(await stored(joins)).toBeUndefined();
  });
});

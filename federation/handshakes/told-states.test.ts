import { afterAll, beforeAll, expect, test } from "vitest";
import type { EventDraft } from "#src/events/build-event.ts";
import { memberDraft } from "#src/events/testing.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { RemoteRoom } from "#src/rooms/received/testing.ts";
import { asking, registered } from "#src/testing-http.ts";
import { type Peer, testPeer } from "../inbound/testing.ts";
import { type FederatedHomeserver, testFederation, type TestFederation } from "../testing.ts";

const E = encodeURIComponent;

let federation: TestFederation;
let one: FederatedHomeserver;
let peer: Peer;
let alice: { readonly user_id: UserId; readonly access_token: string };
let rooms = 0;

beforeAll(async () => {
  federation = await testFederation();
  one = await federation.open();
  peer = await testPeer(federation);
  alice = await registered(asking(one.hs), "alice");
});
afterAll(async () => await federation.close());

type RawPdu = Readonly<Record<string, unknown>>;
/** How a server tells of an event of a room; of undefined it does not. */
type Told = (pdu: RawPdu) => unknown;

/** Invites Alice to a new room of version 12, telling of its name and its create event. */
async function invite(as: Told) {
  const remote = new RemoteRoom("12", `told${rooms++}`);
  const creator = peer.user("creator");
  const wire = (id: EventId): RawPdu => JSON.parse(remote.received(id).json);
  const last = remote.begin(creator);
  const named: EventDraft = { type: "m.room.name", state_key: "", content: { name: "Here" } };
  const name = remote.add(creator, named, [last]);
  const invited = remote.add(creator, memberDraft(alice.user_id, "invite"), [name]);
  const roomId = remote.roomId ?? "";
  const body = {
    room_version: "12",
    event: wire(invited),
    invite_room_state: [wire(name), createOf(remote)].map(as).filter((it) => it !== undefined),
  };
  const path = `/_matrix/federation/v2/invite/${E(roomId)}/${E(invited)}`;
  const answer = await peer.ask(one.hs, "PUT", path, body);
  const sync = await asking(one.hs)("GET", "sync", { token: alice.access_token });
  const told = sync.body.rooms?.invite?.[roomId]?.invite_state.events ?? [];
  return { refusal: answer.body.errcode, told: told.map((it) => it.type) };
}

function createOf(remote: RemoteRoom): RawPdu {
  const [create] = remote.events.keys();
  if (!create) throw new Error("the room has not begun");
  return JSON.parse(remote.received(create).json);
}

const isCreate = (pdu: RawPdu) => pdu["type"] === "m.room.create";
const stripped = ({ type, state_key, sender, content }: RawPdu) => ({
  type,
  state_key,
  sender,
  content,
});
const SHOWN = { refusal: undefined, told: ["m.room.name", "m.room.create", "m.room.member"] };

test("an invitation to a room of version 12 is taken with whole events, and with what servers leave of them", async () => {
  expect(await invite((pdu) => pdu)).toEqual(SHOWN);
  expect(await invite(stripped)).toEqual(SHOWN);
  // Where only what a room may be called is told as it was.
  const both: Told = (pdu) => (isCreate(pdu) ? pdu : stripped(pdu));
  expect(await invite(both)).toEqual(SHOWN);
});

test("it is refused with a whole event that is forged, or of another room, with none, and without what made the room", async () => {
  const refused = { refusal: "M_INVALID_PARAM", told: [] };
  const forged: Told = (pdu) => ({ ...pdu, signatures: { [peer.name]: { "ed25519:1": "AAAA" } } });
  expect(await invite(forged)).toEqual(refused);
  const other = new RemoteRoom("12", "another");
  other.begin(peer.user("creator"));
  const elsewhere = createOf(other);
  expect(await invite((pdu) => (isCreate(pdu) ? elsewhere : pdu))).toEqual(refused);
  expect(await invite(() => "none")).toEqual(refused);
  expect(await invite((pdu) => (isCreate(pdu) ? undefined : stripped(pdu)))).toEqual(refused);
});

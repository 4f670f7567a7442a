import { afterAll, beforeAll, expect, test } from "vitest";
import type { EventDraft } from "#src/events/build-event.ts";
import { memberDraft } from "#src/events/testing.ts";
import type { RoomId, UserId } from "#src/kit/identifiers.ts";
import { RemoteRoom } from "#src/rooms/received/testing.ts";
import { asking, registered } from "#src/testing-http.ts";
import { type Peer, testPeer } from "../inbound/testing.ts";
import { type FederatedHomeserver, testFederation, type TestFederation } from "../testing.ts";

const BURST = 5;

let federation: TestFederation;
let one: FederatedHomeserver;
let peers: readonly Peer[];
let alice: UserId;
let bob: UserId;
let rooms = 0;

beforeAll(async () => {
  federation = await testFederation();
  one = await federation.open({
    isSilent: true,
    variables: {
      ARCHIPEL_RATE_LIMITS_ENABLED: "true",
      ARCHIPEL_RATE_LIMITS_SERVER_INVITE_BURST: String(BURST),
      ARCHIPEL_RATE_LIMITS_SERVER_INVITE_PER_SECOND: "0.001",
      ARCHIPEL_RATE_LIMITS_INVITED_BURST: String(BURST),
      ARCHIPEL_RATE_LIMITS_INVITED_PER_SECOND: "0.001",
      ARCHIPEL_RATE_LIMITS_SERVER_KNOCK_BURST: String(BURST),
      ARCHIPEL_RATE_LIMITS_SERVER_KNOCK_PER_SECOND: "0.001",
    },
  });
  peers = [await testPeer(federation, "liar.test"), await testPeer(federation, "notary.test")];
  const ask = asking(one.hs);
  const userOf = async (name: string): Promise<UserId> => (await registered(ask, name)).user_id;
  [alice, bob] = await Promise.all([userOf("alice"), userOf("bob")]);
});
afterAll(async () => await federation.close());

/** Invites a user to a new room of the peer's. @returns 200, or why not. */
async function invite(peer: Peer, userId = alice): Promise<number | string> {
  const remote = new RemoteRoom("12", `flood${rooms++}`);
  const creator = peer.user("creator");
  const last = remote.begin(creator);
  const draft: EventDraft = memberDraft(userId, "invite");
  const id = remote.add(creator, draft, [last]);
  const event = JSON.parse(remote.received(id).json);
  const [create] = remote.events.keys();
  const told = create ? [JSON.parse(remote.received(create).json)] : [];
  const path = `/_matrix/federation/v2/invite/${encodeURIComponent(remote.roomId ?? "")}/${id}`;
  const body = { room_version: "12", event, invite_room_state: told };
  const answer = await peer.ask(one.hs, "PUT", path, body);
  return answer.body.errcode ?? answer.status;
}

const LIMITED = "M_LIMIT_EXCEEDED";
const several = async (count: number, once: () => Promise<number | string>) => {
  const statuses: (number | string)[] = [];
  for (let n = 0; n < count; n++) statuses.push(await once());
  return statuses;
};
const passed = Array.from({ length: BURST }, () => 200);

test("one server can invite only so often, and so often can one user be invited", async () => {
  const [first, second] = peers;
  if (!first || !second) throw new Error("there are two");
  expect(await several(BURST + 2, async () => await invite(first))).toEqual([
    ...passed,
    LIMITED,
    LIMITED,
  ]);
  expect(await invite(first, bob)).toBe(LIMITED);
  // Who is invited by all has as many limits less: one of their own.
  expect(await invite(second)).toBe(LIMITED);
  expect(await invite(second, bob)).toBe(200);
});

test("one server can knock only so often", async () => {
  const [first, second] = peers;
  const ask = asking(one.hs);
  const token = (await registered(ask, "carol")).access_token as string;
  const body = { initial_state: [{ type: "m.room.join_rules", content: { join_rule: "knock" } }] };
  const roomId = (await ask("POST", "createRoom", { token, body })).body.room_id as RoomId;
  const knock = async (peer: Peer | undefined) => {
    if (!peer) throw new Error("there are two");
    const path = `/_matrix/federation/v1/make_knock/${encodeURIComponent(roomId)}`;
    const userId = encodeURIComponent(peer.user("knocker"));
    const answer = await peer.ask(one.hs, "GET", `${path}/${userId}?ver=12`);
    return answer.body.errcode ?? answer.status;
  };
  const statuses = await several(BURST + 2, async () => await knock(first));
  expect(statuses).toEqual([...passed, LIMITED, LIMITED]);
  expect(await knock(second)).toBe(200);
});

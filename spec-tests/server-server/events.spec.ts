import { describe, expect, test } from "vitest";
import { present } from "../answers.ts";
import { refusal } from "../client-server/client.ts";
import { idOf } from "./pdu.ts";
import { joinRoom } from "./peer-room.ts";
import { E, federatingHomeserver, good, openPeer, V1 } from "./peer.ts";
import type { WirePdu } from "./server-answers.ts";

const hs = await federatingHomeserver();
const peer = await openPeer(hs);
const stranger = await openPeer(hs);
const denied = await openPeer(hs);
const alice = await hs.registerUser("alice");
const bob = peer.user("bob");
const version = "11";
const roomId = await alice.createRoom({ preset: "public_chat", room_version: version });
await joinRoom(peer, roomId, bob);
const said: string[] = [];
for (let index = 0; index < 6; index++) said.push(await alice.sendText(roomId, `said ${index}`));
const [first = "", last = ""] = [said[0], said.at(-1)];

const elsewhere = await alice.createRoom({ preset: "public_chat", room_version: version });
const foreign = await alice.sendText(elsewhere, "elsewhere");

const denying = await alice.createRoom({ preset: "public_chat", room_version: version });
await joinRoom(denied, denying, denied.user("carol"));
const hidden = await alice.sendText(denying, "hidden");
await alice.call("PUT", `/v3/rooms/${E(denying)}/state/m.room.server_acl/`, {
  allow: ["*"],
  deny: ["127.0.0.*"],
  allow_ip_literals: true,
});

const ask = async (uri: string, by = peer) => await by.ask("GET", `${V1}/${uri}`);
const idsOf = (pdus: readonly WirePdu[]) => pdus.map(idOf);

/** What is asked of a room is refused to who is not in it, or denied in it, and of rooms that are none. */
async function expectForMembers(uri: (room: string, eventId: string) => string): Promise<void> {
  const forbidden = refusal(403, "M_FORBIDDEN");
  expect(await ask(uri(roomId, last), stranger)).toMatchObject(forbidden);
  expect(await ask(uri(denying, hidden), denied)).toMatchObject(forbidden);
  const none = await ask(uri("!none:hs.test", last));
  expect([403, 404]).toContain(none.status);
}

/** @spec server-server-api#get_matrixfederationv1eventeventid */
describe("getEvent", () => {
  test("gives one event", async () => {
    const { pdus, origin, origin_server_ts } = good(await ask(`event/${E(last)}`));
    expect([origin, typeof origin_server_ts]).toEqual(["hs.test", "number"]);
    expect(idsOf(pdus)).toEqual([last]);
    expect(pdus[0]?.content["body"]).toBe("said 5");
  });

  test("is for those who may see it", async () => {
    const forbidden = refusal(403, "M_FORBIDDEN");
    expect(await ask(`event/${E(last)}`, stranger)).toMatchObject(forbidden);
    expect(await ask(`event/${E(hidden)}`, denied)).toMatchObject(forbidden);
    expect(await ask("event/%24none")).toMatchObject(refusal(404, "M_NOT_FOUND"));
    expect(await ask("event/none")).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });
});

/** @spec server-server-api#get_matrixfederationv1stateroomid */
describe("getRoomState", () => {
  const uri = (room: string, eventId: string) => `state/${E(room)}?event_id=${E(eventId)}`;

  test("gives the state before an event, and what authorises it", async () => {
    const { pdus, auth_chain } = good(await ask(uri(roomId, last)));
    const types = pdus.map((it) => `${it.type} ${it.state_key}`);
    expect(types).toEqual(
      expect.arrayContaining([
        "m.room.create ",
        "m.room.power_levels ",
        `m.room.member ${alice.userId}`,
        `m.room.member ${bob}`,
      ]),
    );
    const known = new Set(idsOf(auth_chain));
    const cited = pdus.flatMap((it) => it.auth_events);
    expect(cited.filter((id) => !known.has(String(id)))).toEqual([]);
  });

  test("is for servers in the room, and about events of it", async () => {
    await expectForMembers(uri);
    expect(await ask(uri(roomId, "$none"))).toMatchObject(refusal(404, "M_NOT_FOUND"));
    expect(await ask(uri(roomId, foreign))).toMatchObject(refusal(404, "M_NOT_FOUND"));
    expect(await ask(`state/${E(roomId)}`)).toMatchObject(refusal(400, "M_MISSING_PARAM"));
  });
});

/** @spec server-server-api#get_matrixfederationv1state_idsroomid */
describe("getRoomStateIds", () => {
  const uri = (room: string, eventId: string) => `state_ids/${E(room)}?event_id=${E(eventId)}`;

  test("gives the IDs of what getRoomState gives", async () => {
    const whole = good(await ask(uri(roomId, last).replace("state_ids", "state")));
    const { pdu_ids, auth_chain_ids } = good(await ask(uri(roomId, last)));
    expect(pdu_ids.toSorted()).toEqual(idsOf(whole.pdus).toSorted());
    expect(auth_chain_ids.toSorted()).toEqual(idsOf(whole.auth_chain).toSorted());
  });

  test("is for servers in the room, and about events of it", async () => {
    await expectForMembers(uri);
    expect(await ask(uri(roomId, "$none"))).toMatchObject(refusal(404, "M_NOT_FOUND"));
    expect(await ask(`state_ids/${E(roomId)}`)).toMatchObject(refusal(400, "M_MISSING_PARAM"));
  });
});

/** @spec server-server-api#get_matrixfederationv1event_authroomideventid */
describe("getEventAuth", () => {
  const uri = (room: string, eventId: string) => `event_auth/${E(room)}/${E(eventId)}`;

  test("gives all that an event rests on", async () => {
    const { auth_chain } = good(await ask(uri(roomId, last)));
    const types = auth_chain.map((it) => it.type).toSorted();
    expect(new Set(types)).toEqual(
      new Set(["m.room.create", "m.room.member", "m.room.power_levels"]),
    );
    expect(idsOf(auth_chain)).not.toContain(last);
  });

  test("is for servers in the room, and about events of it", async () => {
    await expectForMembers(uri);
    expect(await ask(uri(roomId, foreign))).toMatchObject(refusal(404, "M_NOT_FOUND"));
  });
});

/** @spec server-server-api#get_matrixfederationv1backfillroomid */
describe("backfillRoom", () => {
  const uri = (room: string, eventId: string, limit: number | string = 3) =>
    `backfill/${E(room)}?v=${E(eventId)}&limit=${limit}`;

  test("gives an event, and those before it", async () => {
    const { pdus } = good(await ask(uri(roomId, last)));
    expect(idsOf(pdus).toSorted()).toEqual(said.slice(-3).toSorted());
    const whole = good(await ask(uri(roomId, last, 100)));
    expect(whole.pdus.map((it) => it.type)).toContain("m.room.create");
  });

  test("is for servers in the room, and takes no nonsense", async () => {
    await expectForMembers(uri);
    for (const [query, code] of [
      ["limit=1", "M_MISSING_PARAM"],
      [`v=${E(last)}`, "M_MISSING_PARAM"],
      [`v=${E(last)}&limit=-1`, "M_INVALID_PARAM"],
      ["v=none&limit=1", "M_INVALID_PARAM"],
    ] as const) {
      expect(await ask(`backfill/${E(roomId)}?${query}`)).toMatchObject(refusal(400, code));
    }
  });
});

/** @spec server-server-api#post_matrixfederationv1get_missing_eventsroomid */
describe("getMissingPreviousEvents", () => {
  const missing = async (body: object, room = roomId, by = peer) =>
    await by.ask("POST", `${V1}/get_missing_events/${E(room)}`, body);

  test("gives what is between events, oldest first", async () => {
    const between = { earliest_events: [first], latest_events: [last] };
    const { events } = good(await missing(between));
    expect(idsOf(events)).toEqual(said.slice(1, -1));
    const some = good(await missing({ ...between, limit: 2 }));
    expect(some.events).toHaveLength(2);
    const { pdus } = good(await ask(`event/${E(said[3] ?? "")}`));
    const deep = good(await missing({ ...between, min_depth: pdus[0]?.depth }));
    expect(idsOf(deep.events)).toEqual(said.slice(3, -1));
  });

  test("is for servers in the room, and takes no nonsense", async () => {
    const body = { earliest_events: [first], latest_events: [last] };
    expect(await missing(body, roomId, stranger)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await missing(body, denying, denied)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    for (const wrong of [{}, { ...body, latest_events: "x" }, { ...body, limit: -1 }]) {
      expect(await missing(wrong)).toMatchObject(refusal(400, "M_BAD_JSON"));
    }
  });
});

/** @spec server-server-api#get_matrixfederationv1timestamp_to_eventroomid */
describe("getEventByTimestamp", () => {
  const uri = (room: string, query: string) => `timestamp_to_event/${E(room)}?${query}`;

  test("finds the event that is closest to a moment", async () => {
    const { origin_server_ts: ts } = present(good(await ask(`event/${E(last)}`)).pdus[0]);
    const found = good(await ask(uri(roomId, `ts=${ts}&dir=b`)));
    expect(found).toEqual({ event_id: last, origin_server_ts: ts });
    const none = await ask(uri(roomId, `ts=${ts + 60_000}&dir=f`));
    expect(none).toMatchObject(refusal(404, "M_NOT_FOUND"));
  });

  test("is for servers in the room, and takes no nonsense", async () => {
    await expectForMembers((room) => uri(room, "ts=0&dir=f"));
    expect(await ask(uri(roomId, "dir=f"))).toMatchObject(refusal(400, "M_MISSING_PARAM"));
    expect(await ask(uri(roomId, "ts=x&dir=f"))).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    expect(await ask(uri(roomId, "ts=1&dir=x"))).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });
});

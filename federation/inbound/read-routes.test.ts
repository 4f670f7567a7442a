import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { memberDraft, message } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { findEvents } from "#src/rooms/find-event.ts";
import { receiveEvents } from "#src/rooms/received/receive-events.ts";
import { EventStatus } from "#src/rooms/stored-event.ts";
import type { WirePdu } from "../../spec-tests/server-server/server-answers.ts";
import { testFederation } from "../testing.ts";
import { type Peer, sharedRoom, testPeer } from "./testing.ts";

const federation = await testFederation();
let hs: Homeserver;
let peer: Peer;
let stranger: Peer;

beforeAll(async () => {
  ({ hs } = await federation.open());
  peer = await testPeer(federation);
  stranger = await testPeer(federation, "hs3.test");
});
afterAll(async () => await federation.close());

const E = encodeURIComponent;
const V1 = "/_matrix/federation/v1";
const topic = (text: string) => ({ type: "m.room.topic", state_key: "", content: { topic: text } });
const visibility = (history_visibility: string) => ({
  type: "m.room.history_visibility",
  state_key: "",
  content: { history_visibility },
});

/** A shared room with some more in it, all of which both servers have. */
async function roomWith(version = "12", state: Parameters<typeof sharedRoom>[2] = {}) {
  const shared = await sharedRoom(hs, peer, { version, ...state });
  const { remote, joined, wire } = shared;
  const creator = peer.user("creator");
  const ids: EventId[] = [joined];
  for (let count = 0; count < 8; count++) {
    const draft = count === 4 ? topic("four") : message(`${count}`);
    ids.push(remote.add(creator, draft, ids.slice(-1)));
  }
  await peer.send(hs, ids.slice(1).map(wire));
  return { ...shared, ids, roomId: E(remote.roomId ?? "") };
}

const idsOf = (pdus: readonly WirePdu[]) => pdus.map((it) => it.content["body"]);

describe("a server in a room", () => {
  test.each(["1", "12"])("gets an event of a room of version %s", async (version) => {
    const { ids, wire } = await roomWith(version);
    const id = ids.at(-1) as EventId;
    const { body } = await peer.ask(hs, "GET", `${V1}/event/${E(id)}`);
    expect(body).toEqual({
      origin: hs.name,
      origin_server_ts: expect.any(Number),
      pdus: [wire(id)],
    });
  });

  test("gets the state before an event, and what authorises that", async () => {
    const { ids, remote, roomId, wire } = await roomWith();
    for (const id of [ids[5], ids[6]] as EventId[]) {
      const query = `${roomId}?event_id=${E(id)}`;
      const { body: whole } = await peer.ask(hs, "GET", `${V1}/state/${query}`);
      const { body } = await peer.ask(hs, "GET", `${V1}/state_ids/${query}`);
      const before = [...(remote.events.get(id)?.before.values() ?? [])];
      expect(body.pdu_ids.toSorted()).toEqual(before.toSorted());
      expect(whole.pdus).toEqual(body.pdu_ids.map((it) => wire(it as EventId)));
      expect(whole.auth_chain).toEqual(body.auth_chain_ids.map((it) => wire(it as EventId)));
      const cited = before.flatMap((it) => remote.graph.events.get(it)?.auth_events ?? []);
      // In this version no event cites the one that made the room, but all stand on it.
      const create: EventId = `$${(remote.roomId ?? "").slice(1)}`;
      expect(new Set(body.auth_chain_ids)).toEqual(new Set([create, ...cited]));
    }
  });

  test.each(["11", "12"])(
    "gets the auth chain of an event, be it state or not, in version %s",
    async (version) => {
      const { ids, remote, roomId, wire } = await roomWith(version);
      const create: EventId[] = version === "12" ? [`$${(remote.roomId ?? "").slice(1)}`] : [];
      for (const id of [ids[5], ids[8]] as EventId[]) {
        const { body } = await peer.ask(hs, "GET", `${V1}/event_auth/${roomId}/${E(id)}`);
        const chain = new Set<EventId>(create);
        const left = [id];
        for (let it = left.pop(); it !== undefined; it = left.pop()) {
          for (const cited of remote.graph.events.get(it)?.auth_events ?? []) {
            chain.add(cited);
            left.push(cited);
          }
        }
        const byText = (its: readonly object[]) => its.map((it) => JSON.stringify(it)).toSorted();
        expect(byText(body.auth_chain)).toEqual(byText([...chain].map(wire)));
      }
    },
  );

  test("gets what precedes events, with these, and the newest first", async () => {
    const { ids, roomId, wire } = await roomWith();
    const from = E(ids[7] as string);
    const { body } = await peer.ask(hs, "GET", `${V1}/backfill/${roomId}?v=${from}&limit=3`);
    expect(body).toMatchObject({ origin: hs.name });
    expect(body.pdus).toEqual(ids.slice(5, 8).toReversed().map(wire));
    const unknown = await peer.ask(hs, "GET", `${V1}/backfill/${roomId}?v=%24x&limit=3`);
    expect(unknown.body.pdus).toEqual([]);
  });

  test("has us go through few events that are no part of the room to find some that are", async () => {
    const { remote, room, ids, roomId } = await roomWith();
    const outsider = peer.user("outsider");
    const rejected = ids.slice(-1);
    for (let count = 0; count < 1_010; count++) {
      rejected.push(remote.add(outsider, message(`${count}`), rejected.slice(-1)));
    }
    const received = rejected.slice(1).map((id) => remote.received(id));
    await receiveEvents(hs, room, received, { as: "live" });
    const given = async (from: EventId | undefined) => {
      const uri = `${V1}/backfill/${roomId}?v=${E(from ?? "")}&limit=3`;
      return (await peer.ask(hs, "GET", uri)).body.pdus.length;
    };
    expect(await given(rejected[900])).toBe(3);
    expect(await given(rejected.at(-1))).toBe(1);
  });

  test("gets what it is missing, without what it has and what it asks from", async () => {
    const { ids, roomId, wire, remote } = await roomWith();
    const ask = async (body: object) =>
      (await peer.ask(hs, "POST", `${V1}/get_missing_events/${roomId}`, body)).body.events;
    const between = { earliest_events: [ids[2]], latest_events: [ids[8]] };
    expect(await ask(between)).toEqual(ids.slice(3, 8).map(wire));
    expect(await ask({ ...between, limit: 2 })).toEqual(ids.slice(6, 8).map(wire));
    const depth = remote.graph.events.get(ids[5] as EventId)?.depth;
    expect(await ask({ ...between, min_depth: depth })).toEqual(ids.slice(5, 8).map(wire));
    expect(await ask({ earliest_events: [], latest_events: ["$unknown"] })).toEqual([]);
  });

  test("gets of what it may not see only what of it would survive a redaction", async () => {
    const hidden = await roomWith("12", { state: [visibility("joined")] });
    const { remote, room, wire, ids, roomId } = hidden;
    // A server whose user comes late.
    const late = stranger.user("late");
    const joins = remote.add(late, memberDraft(late, "join"), ids.slice(-1));
    const after = remote.add(peer.user("creator"), message("after"), [joins]);
    await peer.send(hs, [wire(joins), wire(after)]);
    const query = `${roomId}?v=${E(after)}&limit=5`;
    const { body } = await stranger.ask(hs, "GET", `${V1}/backfill/${query}`);
    expect(idsOf(body.pdus)).toEqual(["after", undefined, undefined, undefined, undefined]);
    expect(body.pdus[1]).toMatchObject({ state_key: late, content: { membership: "join" } });
    const theirs = await peer.ask(hs, "GET", `${V1}/backfill/${query}`);
    expect(idsOf(theirs.body.pdus)).toEqual(["after", undefined, "7", "6", "5"]);
    const event = await stranger.ask(hs, "GET", `${V1}/event/${E(ids[8] as string)}`);
    expect(event.body.pdus[0]?.content).toEqual({});
    expect(room.roomId).toBe(remote.roomId);
  });

  test("gets no message that waits for what is before it, where not all may see it", async () => {
    const bystander = stranger.user("bystander");
    for (const [openness, status] of [
      ["joined", 404],
      ["shared", 200],
    ] as const) {
      const { remote, wire, ids } = await roomWith("12", { state: [visibility(openness)] });
      const joins = remote.add(bystander, memberDraft(bystander, "join"), ids.slice(-1));
      const lost = remote.add(peer.user("creator"), message("lost"), [joins]);
      const waiting = remote.add(peer.user("creator"), message("waiting"), [lost]);
      await peer.send(hs, [wire(joins), wire(waiting)]);
      const path = `${V1}/event/${E(waiting)}`;
      expect((await stranger.ask(hs, "GET", path)).status).toBe(status);
      expect((await peer.ask(hs, "GET", path)).body.pdus[0]?.content["body"]).toBe("waiting");
    }
  });

  test("gets the event that was sent closest to a moment", async () => {
    const { ids, roomId, remote } = await roomWith();
    const at = (index: number) =>
      remote.graph.events.get(ids[index] as EventId)?.origin_server_ts ?? 0;
    const ask = async (ts: number, dir: string) =>
      await peer.ask(hs, "GET", `${V1}/timestamp_to_event/${roomId}?ts=${ts}&dir=${dir}`);
    for (const dir of ["f", "b"]) {
      expect((await ask(at(4), dir)).body).toEqual({ event_id: ids[4], origin_server_ts: at(4) });
    }
    expect((await ask(at(8) + 99, "b")).body.event_id).toBe(ids[8]);
    expect((await ask(0, "f")).body.event_id).toBe(ids[0]);
    for (const [ts, dir] of [
      [at(8) + 99, "f"],
      [0, "b"],
    ] as const) {
      expect(await ask(ts, dir)).toMatchObject({ status: 404, body: { errcode: "M_NOT_FOUND" } });
    }
    for (const query of ["ts=1", "dir=f"]) {
      const uri = `${V1}/timestamp_to_event/${roomId}?${query}`;
      expect(await peer.ask(hs, "GET", uri)).toMatchObject({
        status: 400,
        body: { errcode: "M_MISSING_PARAM" },
      });
    }
    for (const query of ["ts=x&dir=f", "ts=1&dir=x"]) {
      const uri = `${V1}/timestamp_to_event/${roomId}?${query}`;
      expect(await peer.ask(hs, "GET", uri)).toMatchObject({
        status: 400,
        body: { errcode: "M_INVALID_PARAM" },
      });
    }
  });

  test("gets nothing of an event that the room's rules do not let be, and no state before it", async () => {
    const { ids, remote, wire, roomId } = await roomWith();
    const rejected = remote.add(peer.user("nobody"), message("not here"), ids.slice(-1));
    await peer.send(hs, [wire(rejected)]);
    expect((await findEvents(hs, [rejected])).get(rejected)?.status).toBe(EventStatus.rejected);
    for (const path of [
      `event/${E(rejected)}`,
      `state/${roomId}?event_id=${E(rejected)}`,
      `state_ids/${roomId}?event_id=${E(rejected)}`,
    ]) {
      const answer = await peer.ask(hs, "GET", `${V1}/${path}`);
      expect(answer, path).toMatchObject({ status: 404, body: { errcode: "M_NOT_FOUND" } });
    }
  });

  test("gets of what was redacted only what is left of it", async () => {
    const { ids, remote, wire } = await roomWith();
    const target = ids[8] as EventId;
    const draft = { type: "m.room.redaction", content: { redacts: target } };
    const redaction = remote.add(peer.user("creator"), draft, [target]);
    await peer.send(hs, [wire(redaction)]);
    const { body } = await peer.ask(hs, "GET", `${V1}/event/${E(target)}`);
    expect(body.pdus[0]).toMatchObject({ content: {}, hashes: wire(target)["hashes"] });
  });
});

describe("a request is refused", () => {
  test("of a server that is not in the room, or is denied in it, or of a room that is none", async () => {
    const open = await roomWith();
    const acl = { type: "m.room.server_acl", state_key: "", content: { allow: [] } };
    const denying = await sharedRoom(hs, peer, { state: [acl] });
    const ids = (room: string, id: string) => [
      `${V1}/state/${room}?event_id=${E(id)}`,
      `${V1}/state_ids/${room}?event_id=${E(id)}`,
      `${V1}/event_auth/${room}/${E(id)}`,
      `${V1}/backfill/${room}?v=${E(id)}&limit=1`,
    ];
    const body = { earliest_events: [], latest_events: [] };
    const refused = { status: 403, body: { errcode: "M_FORBIDDEN" } };
    for (const [who, room, id] of [
      [stranger, open.roomId, open.ids[3] as string],
      [peer, E(denying.remote.roomId ?? ""), denying.joined],
      [peer, "!none:else.test", open.ids[3] as string],
    ] as const) {
      for (const uri of ids(room, id)) expect(await who.ask(hs, "GET", uri)).toMatchObject(refused);
      const uri = `${V1}/get_missing_events/${room}`;
      expect(await who.ask(hs, "POST", uri, body)).toMatchObject(refused);
    }
    for (const [who, id] of [
      [stranger, open.ids[3]],
      [peer, denying.joined],
    ] as const) {
      const uri = `${V1}/event/${E(id as string)}`;
      expect(await who.ask(hs, "GET", uri)).toMatchObject(refused);
    }
  });

  test("where it asks for nothing that there is, or for nothing at all", async () => {
    const { roomId } = await roomWith();
    const elsewhere = await roomWith();
    const foreign = E(elsewhere.ids[2] as string);
    const cases: [uri: string, status: number, errcode: string][] = [
      [`${V1}/event/%24unknown`, 404, "M_NOT_FOUND"],
      [`${V1}/event/unknown`, 400, "M_INVALID_PARAM"],
      [`${V1}/state/${roomId}`, 400, "M_MISSING_PARAM"],
      [`${V1}/state/${roomId}?event_id=%24unknown`, 404, "M_NOT_FOUND"],
      [`${V1}/state_ids/${roomId}?event_id=${foreign}`, 404, "M_NOT_FOUND"],
      [`${V1}/event_auth/${roomId}/${foreign}`, 404, "M_NOT_FOUND"],
      [`${V1}/backfill/${roomId}?limit=1`, 400, "M_MISSING_PARAM"],
      [`${V1}/backfill/${roomId}?v=%24x`, 400, "M_MISSING_PARAM"],
      [`${V1}/backfill/${roomId}?v=%24x&limit=-1`, 400, "M_INVALID_PARAM"],
    ];
    for (const [uri, status, errcode] of cases) {
      const answer = await peer.ask(hs, "GET", uri);
      expect({ uri, ...answer }).toMatchObject({ uri, status, body: { errcode } });
    }
    const missing = `${V1}/get_missing_events/${roomId}`;
    expect(await peer.ask(hs, "POST", missing, { latest_events: [] })).toMatchObject({
      status: 400,
      body: { errcode: "M_BAD_JSON" },
    });
  });
});

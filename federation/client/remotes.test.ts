import { afterAll, describe, expect, test } from "vitest";
import type { Remotes } from "#src/homeserver/remotes.ts";
import type { EventId, RoomAlias, RoomId, ServerName, UserId } from "#src/kit/identifiers.ts";
import { testFederation } from "../testing.ts";
import { pretendedServer } from "./testing.ts";
import { parseXMatrix } from "./x-matrix.ts";

const federation = await testFederation();
const hs1 = await federation.open();
const liar = await pretendedServer(federation, "liar.test");
afterAll(async () => await federation.close());

const roomId = "!r:liar.test" as RoomId;
const eventId = "$e/+?" as EventId;
const userId = "@u:liar.test" as UserId;
const event = { type: "m.room.member", depth: 1 };
const membership = { roomId, eventId, event };
const E = encodeURIComponent;
const V1 = "/_matrix/federation/v1";

type Case = readonly [
  operation: keyof Remotes,
  question: object,
  request: string,
  /** The body that is sent, but for what more is in it. */
  sent: object,
  answer: unknown,
  body: unknown,
];

// prettier-ignore
const cases: Case[] = [
  ["sendTransaction", { txnId: "t/1", origin_server_ts: 5, pdus: ['{"a":1.0}'], edus: ['{"b":2}'] }, `PUT ${V1}/send/t%2F1`, {}, { pdus: { $a: {}, $b: { error: "no" } } }, { pdus: new Map([["$a", {}], ["$b", { error: "no" }]]) }],
  ["sendTransaction", { txnId: "t", origin_server_ts: 5, pdus: [], edus: [] }, `PUT ${V1}/send/t`, { origin_server_ts: 5, pdus: [], edus: [] }, {}, { pdus: new Map() }],
  ["getEvent", { eventId }, `GET ${V1}/event/${E(eventId)}`, {}, { origin: "x", pdus: [event] }, { origin_server_ts: 0, pdus: [event] }],
  ["getEventAuth", { roomId, eventId }, `GET ${V1}/event_auth/${E(roomId)}/${E(eventId)}`, {}, { auth_chain: [event] }, { auth_chain: [event] }],
  ["getRoomState", { roomId, eventId }, `GET ${V1}/state/${E(roomId)}?event_id=${E(eventId)}`, {}, { auth_chain: [], pdus: [event] }, { auth_chain: [], pdus: [event] }],
  ["getRoomStateIds", { roomId, eventId }, `GET ${V1}/state_ids/${E(roomId)}?event_id=${E(eventId)}`, {}, { auth_chain_ids: [], pdu_ids: ["$x"] }, { auth_chain_ids: [], pdu_ids: ["$x"] }],
  ["backfillRoom", { roomId, from: ["$a", "$b"], limit: 9 }, `GET ${V1}/backfill/${E(roomId)}?v=%24a&v=%24b&limit=9`, {}, { pdus: [event] }, { pdus: [event] }],
  ["getMissingPreviousEvents", { roomId, earliest_events: ["$a"], latest_events: ["$b"], limit: 9 }, `POST ${V1}/get_missing_events/${E(roomId)}`, { earliest_events: ["$a"], latest_events: ["$b"], limit: 9 }, { events: [] }, { events: [] }],
  ["getEventByTimestamp", { roomId, ts: 5, dir: "b" }, `GET ${V1}/timestamp_to_event/${E(roomId)}?ts=5&dir=b`, {}, { event_id: "$x", origin_server_ts: 4 }, { event_id: "$x", origin_server_ts: 4 }],
  ["askPolicyServerToSign", { event }, "POST /_matrix/policy/v1/sign", event, { p: { "ed25519:policy_server": "s" } }, new Map([["p", new Map([["ed25519:policy_server", "s"]])]])],
  ["askPolicyServerToSign", { event, isOld: true }, "POST /_matrix/policy/unstable/org.matrix.msc4284/sign", event, { p: { "ed25519:policy_server": "s" } }, new Map([["p", new Map([["ed25519:policy_server", "s"]])]])],
  ["makeJoin", { roomId, userId, versions: ["1", "org.x"] }, `GET ${V1}/make_join/${E(roomId)}/${E(userId)}?ver=1&ver=org.x`, {}, { room_version: "12", event }, { room_version: "12", event }],
  ["sendJoinV1", membership, `PUT ${V1}/send_join/${E(roomId)}/${E(eventId)}`, event, [200, { auth_chain: [], state: [] }], { auth_chain: [], state: [] }],
  ["sendJoinV2", { ...membership, omitMembers: true }, `PUT /_matrix/federation/v2/send_join/${E(roomId)}/${E(eventId)}?omit_members=true`, event, { auth_chain: [], state: [], event: null, servers_in_room: ["a"] }, { auth_chain: [], state: [], servers_in_room: ["a"] }],
  ["makeKnock", { roomId, userId, versions: ["7"] }, `GET ${V1}/make_knock/${E(roomId)}/${E(userId)}?ver=7`, {}, { room_version: "7", event }, { room_version: "7", event }],
  ["sendKnock", membership, `PUT ${V1}/send_knock/${E(roomId)}/${E(eventId)}`, event, { knock_room_state: [event] }, { knock_room_state: [event] }],
  ["makeLeave", { roomId, userId }, `GET ${V1}/make_leave/${E(roomId)}/${E(userId)}`, {}, { event }, { event }],
  ["sendLeaveV1", membership, `PUT ${V1}/send_leave/${E(roomId)}/${E(eventId)}`, event, [200, {}], {}],
  ["sendLeaveV2", membership, `PUT /_matrix/federation/v2/send_leave/${E(roomId)}/${E(eventId)}`, event, {}, {}],
  ["sendInviteV1", membership, `PUT ${V1}/invite/${E(roomId)}/${E(eventId)}`, event, [200, { event }], { event }],
  ["sendInviteV2", { ...membership, room_version: "12", invite_room_state: [] }, `PUT /_matrix/federation/v2/invite/${E(roomId)}/${E(eventId)}`, { event, room_version: "12", invite_room_state: [] }, { event }, { event }],
  ["exchangeThirdPartyInvite", { roomId, event }, `PUT ${V1}/exchange_third_party_invite/${E(roomId)}`, event, {}, {}],
  ["queryRoomDirectory", { room_alias: "#a:liar.test" as RoomAlias }, `GET ${V1}/query/directory?room_alias=%23a%3Aliar.test`, {}, { room_id: roomId, servers: ["a.test", "b c", 5] }, { room_id: roomId, servers: ["a.test"] }],
  ["queryProfile", { user_id: userId, field: "displayname" }, `GET ${V1}/query/profile?user_id=${E(userId)}&field=displayname`, {}, { displayname: "U" }, { displayname: "U" }],
  ["queryProfile", { user_id: userId }, `GET ${V1}/query/profile?user_id=${E(userId)}`, {}, {}, {}],
  ["queryInfo", { queryType: "x/y", parameters: { a: "b c" } }, `GET ${V1}/query/x%2Fy?a=b%20c`, {}, {}, {}],
  ["getPublicRooms", { limit: 5, since: "s" }, `GET ${V1}/publicRooms?limit=5&since=s`, {}, { chunk: [], next_batch: null }, { chunk: [] }],
  ["queryPublicRooms", { limit: 5, filter: { generic_search_term: "x" } }, `POST ${V1}/publicRooms`, { limit: 5, filter: { generic_search_term: "x" } }, { chunk: [{}], total_room_count_estimate: 1 }, { chunk: [{}], total_room_count_estimate: 1 }],
  ["getSpaceHierarchy", { roomId, suggestedOnly: true }, `GET ${V1}/hierarchy/${E(roomId)}?suggested_only=true`, {}, { room: {} }, { room: {}, children: [], inaccessible_children: [] }],
  ["getUserDevices", { userId }, `GET ${V1}/user/devices/${E(userId)}`, {}, { user_id: userId, stream_id: 5, devices: [{ device_id: "D", keys: {} }, { device_id: 5 }], master_key: null }, { user_id: userId, stream_id: 5, devices: [{ device_id: "D", keys: {} }] }],
  ["queryUserEncryptionKeys", { device_keys: { [userId]: [] } }, `POST ${V1}/user/keys/query`, { device_keys: { [userId]: [] } }, { device_keys: { [userId]: { D: { a: 1 } } } }, { device_keys: new Map([[userId, new Map([["D", { a: 1 }]])]]), master_keys: new Map(), self_signing_keys: new Map() }],
  ["claimUserEncryptionKeys", { one_time_keys: { [userId]: { D: "signed_curve25519" } } }, `POST ${V1}/user/keys/claim`, { one_time_keys: { [userId]: { D: "signed_curve25519" } } }, { one_time_keys: { [userId]: { D: { "a:b": { key: "k" } } } } }, { one_time_keys: new Map([[userId, new Map([["D", new Map([["a:b", { key: "k" }]])]])]]) }],
];

test.each(cases)(
  "%s asks what the specification says",
  async (...[operation, question, request, sent, answer, body]) => {
    liar.saying(answer);
    const ask = hs1.hs.remotes[operation] as (
      server: ServerName,
      question: object,
    ) => Promise<unknown>;
    expect(await ask(liar.name, question)).toEqual({ ok: true, body });
    expect(liar.asked.request).toBe(request);
    expect(JSON.parse(liar.asked.body || "{}")).toMatchObject(sent);
    expect(parseXMatrix(liar.asked.authorization ?? "")).toMatchObject({
      origin: hs1.name,
      destination: liar.name,
      key: hs1.hs.signingKey.keyId,
    });
  },
);

test("sends events as they are stored, letter for letter", async () => {
  liar.saying({});
  const pdu = '{"content":{"n":1.0},"depth":99999999999999999999}';
  await hs1.hs.remotes.sendTransaction(liar.name, {
    txnId: "t",
    origin_server_ts: 5,
    pdus: [pdu],
    edus: [],
  });
  expect(liar.asked.body).toBe(
    `{"edus":[],"origin":"${hs1.name}","origin_server_ts":5,"pdus":[${pdu}]}`,
  );
});

describe("tells nobody who it is when it asks", () => {
  test("for an OpenID token's user, a version, keys", async () => {
    liar.saying({ sub: userId });
    const { remotes } = hs1.hs;
    expect(await remotes.exchangeOpenIdToken(liar.name, { access_token: "a b" })).toEqual({
      ok: true,
      body: { sub: userId },
    });
    expect(liar.asked.request).toBe(`GET ${V1}/openid/userinfo?access_token=a%20b`);
    expect(liar.asked.authorization).toBeUndefined();
    liar.saying({ server_keys: [] });
    await remotes.perspectivesKeyQuery(liar.name, {
      serverName: liar.name,
      minimum_valid_until_ts: 5,
    });
    expect(liar.asked.request).toBe(
      `GET /_matrix/key/v2/query/${E(liar.name)}?minimum_valid_until_ts=5`,
    );
    expect(liar.asked.authorization).toBeUndefined();
    await remotes.bulkPerspectivesKeyQuery(liar.name, { server_keys: { a: {} } });
    expect(liar.asked).toMatchObject({
      request: "POST /_matrix/key/v2/query",
      authorization: undefined,
    });
  });
});

describe("an answer that is none", () => {
  const ask = async (options = {}) =>
    await hs1.hs.remotes.getEvent(liar.name, { eventId }, options);

  test("is a refusal, with what was said", async () => {
    liar.saying({ errcode: "M_INCOMPATIBLE_ROOM_VERSION", room_version: "9" }, 400);
    expect(await ask()).toEqual({
      ok: false,
      why: "refused",
      status: 400,
      errcode: "M_INCOMPATIBLE_ROOM_VERSION",
      body: { errcode: "M_INCOMPATIBLE_ROOM_VERSION", room_version: "9" },
    });
  });

  test("is a refusal also from what stands before the server", async () => {
    liar.says = (response) => response.writeHead(502).end("<html>");
    expect(await ask()).toMatchObject({
      why: "refused",
      status: 502,
      errcode: "M_UNKNOWN",
      body: {},
    });
    liar.says = (response) => response.writeHead(302, { location: "https://liar.test/" }).end();
    expect(await ask()).toMatchObject({ why: "refused", status: 302 });
  });

  test("says when to come again", async () => {
    liar.saying({ errcode: "M_LIMIT_EXCEEDED" }, 429, { "retry-after": "7" });
    expect(await ask()).toMatchObject({ why: "refused", retryAfterMs: 7_000 });
    liar.saying({ errcode: "M_LIMIT_EXCEEDED", retry_after_ms: 5_000 }, 429);
    expect(await ask()).toMatchObject({ why: "refused", retryAfterMs: 5_000 });
    liar.saying({ errcode: "M_LIMIT_EXCEEDED", retry_after_ms: 1_500.5 }, 429);
    expect(await ask()).toMatchObject({ why: "refused", retryAfterMs: 1_501 });
  });

  test.each([[{}], [{ pdus: {} }], [{ pdus: ["text"] }], [{ pdus: [[]] }], [[]], ["text"], [null]])(
    "is malformed: %j",
    async (answer) => {
      liar.saying(answer);
      expect(await ask()).toMatchObject({ ok: false, why: "malformed" });
    },
  );

  test("is malformed if it is no JSON, or not UTF-8", async () => {
    liar.says = (response) => response.end("{");
    expect(await ask()).toMatchObject({ why: "malformed" });
    liar.says = (response) => response.end(Buffer.from('{"pdus":[{"a":"\xff"}]}', "latin1"));
    expect(await ask()).toMatchObject({ why: "malformed" });
  });

  test("has not come if it is late, cut off, or without end", async () => {
    liar.says = () => {};
    const late = await ask({ timeoutMs: 500 });
    expect(late).toMatchObject({ why: "unreachable", cause: { fault: "timeout" } });
    liar.says = (response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("{", () => response.destroy());
    };
    expect(await ask()).toMatchObject({ why: "unreachable" });
    liar.says = (response) => {
      const pour = () => {
        while (!response.destroyed && response.write(" ".repeat(1_000_000)));
      };
      response.on("drain", pour);
      pour();
    };
    const endless = await hs1.hs.remotes.getServerKey(liar.name, {});
    expect(endless).toMatchObject({ why: "unreachable", cause: { fault: "too-large" } });
  });
});

test("asks neither itself, nor whom it cannot name", async () => {
  expect(await hs1.hs.remotes.getVersion(hs1.name, {})).toMatchObject({ why: "unreachable" });
  const nobody = "not a name" as ServerName;
  expect(await hs1.hs.remotes.getVersion(nobody, {})).toMatchObject({ why: "unreachable" });
});

test("asks nobody when federation is switched off", async () => {
  const off = await federation.open({
    host: "hs2.test",
    variables: { ARCHIPEL_FEDERATION_ENABLED: "false" },
  });
  expect(await off.hs.remotes.getVersion(liar.name, {})).toMatchObject({ why: "unreachable" });
});

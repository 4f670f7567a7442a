import type { IncomingMessage, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Remotes } from "#src/homeserver/remotes.ts";
import type { EventId, RoomAlias, RoomId, ServerName, UserId } from "#src/kit/identifiers.ts";
import { type FederatedHomeserver, testFederation } from "../testing.ts";
import { parseXMatrix } from "./x-matrix.ts";

const federation = await testFederation();
let hs1: FederatedHomeserver;
let liar: ServerName;
/** What the other server was asked, and what it says to it. */
let asked: { request: string; body: string; authorization: string | undefined };
let says: (response: ServerResponse, request: IncomingMessage) => void;

beforeAll(async () => {
  hs1 = await federation.open();
  liar = (await federation.pretend("liar.test", (request, response) => {
    void buffer(request).then((body) => {
      const { authorization } = request.headers;
      const line = `${request.method} ${request.url}`;
      asked = { request: line, body: body.toString(), authorization };
      says(response, request);
    });
  })) as ServerName;
});
afterAll(async () => await federation.close());

function saying(body: unknown, status = 200, headers = {}) {
  says = (response) => response.writeHead(status, headers).end(JSON.stringify(body));
}

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
    saying(answer);
    const ask = hs1.hs.remotes[operation] as (
      server: ServerName,
      question: object,
    ) => Promise<unknown>;
    expect(await ask(liar, question)).toEqual({ ok: true, body });
    expect(asked.request).toBe(request);
    expect(JSON.parse(asked.body || "{}")).toMatchObject(sent);
    expect(parseXMatrix(asked.authorization ?? "")).toMatchObject({
      origin: hs1.name,
      destination: liar,
      key: hs1.hs.signingKey.keyId,
    });
  },
);

test("sends events as they are stored, letter for letter", async () => {
  saying({});
  const pdu = '{"content":{"n":1.0},"depth":99999999999999999999}';
  await hs1.hs.remotes.sendTransaction(liar, {
    txnId: "t",
    origin_server_ts: 5,
    pdus: [pdu],
    edus: [],
  });
  expect(asked.body).toBe(
    `{"edus":[],"origin":"${hs1.name}","origin_server_ts":5,"pdus":[${pdu}]}`,
  );
});

describe("tells nobody who it is when it asks", () => {
  test("for an OpenID token's user, a version, keys", async () => {
    saying({ sub: userId });
    const { remotes } = hs1.hs;
    expect(await remotes.exchangeOpenIdToken(liar, { access_token: "a b" })).toEqual({
      ok: true,
      body: { sub: userId },
    });
    expect(asked.request).toBe(`GET ${V1}/openid/userinfo?access_token=a%20b`);
    expect(asked.authorization).toBeUndefined();
    saying({ server_keys: [] });
    await remotes.perspectivesKeyQuery(liar, { serverName: liar, minimum_valid_until_ts: 5 });
    expect(asked.request).toBe(`GET /_matrix/key/v2/query/${E(liar)}?minimum_valid_until_ts=5`);
    expect(asked.authorization).toBeUndefined();
    await remotes.bulkPerspectivesKeyQuery(liar, { server_keys: { a: {} } });
    expect(asked).toMatchObject({
      request: "POST /_matrix/key/v2/query",
      authorization: undefined,
    });
  });
});

describe("an answer that is none", () => {
  const ask = async () => await hs1.hs.remotes.getEvent(liar, { eventId }, { timeoutMs: 500 });

  test("is a refusal, with what was said", async () => {
    saying({ errcode: "M_INCOMPATIBLE_ROOM_VERSION", room_version: "9" }, 400);
    expect(await ask()).toEqual({
      ok: false,
      why: "refused",
      status: 400,
      errcode: "M_INCOMPATIBLE_ROOM_VERSION",
      body: { errcode: "M_INCOMPATIBLE_ROOM_VERSION", room_version: "9" },
    });
  });

  test("is a refusal also from what stands before the server", async () => {
    says = (response) => response.writeHead(502).end("<html>");
    expect(await ask()).toMatchObject({
      why: "refused",
      status: 502,
      errcode: "M_UNKNOWN",
      body: {},
    });
    says = (response) => response.writeHead(302, { location: "https://liar.test/" }).end();
    expect(await ask()).toMatchObject({ why: "refused", status: 302 });
  });

  test("says when to come again", async () => {
    saying({ errcode: "M_LIMIT_EXCEEDED" }, 429, { "retry-after": "7" });
    expect(await ask()).toMatchObject({ why: "refused", retryAfterMs: 7_000 });
    saying({ errcode: "M_LIMIT_EXCEEDED", retry_after_ms: 5_000 }, 429);
    expect(await ask()).toMatchObject({ why: "refused", retryAfterMs: 5_000 });
  });

  test.each([[{}], [{ pdus: {} }], [{ pdus: ["text"] }], [{ pdus: [[]] }], [[]], ["text"], [null]])(
    "is malformed: %j",
    async (answer) => {
      saying(answer);
      expect(await ask()).toMatchObject({ ok: false, why: "malformed" });
    },
  );

  test("is malformed if it is no JSON, or not UTF-8", async () => {
    says = (response) => response.end("{");
    expect(await ask()).toMatchObject({ why: "malformed" });
    says = (response) => response.end(Buffer.from('{"pdus":[{"a":"\xff"}]}', "latin1"));
    expect(await ask()).toMatchObject({ why: "malformed" });
  });

  test("has not come if it is late, cut off, or without end", async () => {
    says = () => {};
    expect(await ask()).toMatchObject({ why: "unreachable", cause: { fault: "timeout" } });
    says = (response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("{", () => response.destroy());
    };
    expect(await ask()).toMatchObject({ why: "unreachable" });
    says = (response) => {
      const pour = () => {
        while (!response.destroyed && response.write(" ".repeat(1_000_000)));
      };
      response.on("drain", pour);
      pour();
    };
    const endless = await hs1.hs.remotes.getServerKey(liar, {});
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
  expect(await off.hs.remotes.getVersion(liar, {})).toMatchObject({ why: "unreachable" });
});

describe("media", () => {
  const multipart = { "content-type": "multipart/mixed; boundary=XX" };
  const bodyOf = (headers: string, content: string) =>
    `--XX\r\nContent-Type: application/json\r\n\r\n{}\r\n--XX\r\n${headers}\r\n\r\n${content}\r\n--XX--`;

  test("comes as it is", async () => {
    const picture = "p".repeat(300_000);
    says = (response) =>
      response
        .writeHead(200, multipart)
        .end(bodyOf("Content-Type: image/png\r\nContent-Disposition: inline", picture));
    const answer = await hs1.hs.remotes.getContent(liar, { mediaId: "m", timeoutMs: 10 });
    if (!answer.ok) throw new Error(answer.why);
    expect(asked.request).toBe(`GET ${V1}/media/download/m?timeout_ms=10`);
    expect(answer.body).toMatchObject({ contentType: "image/png", contentDisposition: "inline" });
    expect((await buffer(answer.body.body)).toString()).toBe(picture);
  });

  test("comes as a thumbnail of the size that is asked for", async () => {
    says = (response) => response.writeHead(200, multipart).end(bodyOf("", "x"));
    const size = { width: 3, height: 4, method: "crop", animated: true } as const;
    const answer = await hs1.hs.remotes.getContentThumbnail(liar, { mediaId: "m", ...size });
    expect(answer.ok).toBe(true);
    expect(asked.request).toBe(
      `GET ${V1}/media/thumbnail/m?width=3&height=4&method=crop&animated=true&timeout_ms=20000`,
    );
  });

  test("comes from where the server says that it is, unsigned", async () => {
    says = (response, request) => {
      const isPlace = request.url === "/cdn";
      response
        .writeHead(200, isPlace ? { "content-type": "image/gif" } : multipart)
        .end(isPlace ? "there" : bodyOf(`Location: https://${liar}/cdn`, ""));
    };
    const answer = await hs1.hs.remotes.getContent(liar, { mediaId: "m" });
    if (!answer.ok) throw new Error(answer.why);
    expect(asked).toMatchObject({ request: "GET /cdn", authorization: undefined });
    expect(answer.body.contentType).toBe("image/gif");
    expect((await buffer(answer.body.body)).toString()).toBe("there");
  });

  test.each(["https://10.0.0.1/x", "http://liar.test/x", "file:///etc/passwd", "nonsense"])(
    "does not come from %s",
    async (location) => {
      says = (response) =>
        response.writeHead(200, multipart).end(bodyOf(`Location: ${location}`, ""));
      const answer = await hs1.hs.remotes.getContent(liar, { mediaId: "m" });
      expect(answer).toMatchObject({ ok: false, why: "unreachable" });
    },
  );

  test.each([
    [404, JSON.stringify({ errcode: "M_UNRECOGNIZED" })],
    [405, JSON.stringify({ errcode: "M_UNRECOGNIZED" })],
    [404, "404 page not found"],
    [400, "nothing of that kind here"],
  ])("comes by the old route, unsigned, from a server that answers %i %s", async (status, page) => {
    says = (response, request) => {
      if (!request.url?.startsWith("/_matrix/media/v3/")) {
        response.writeHead(status).end(page);
        return;
      }
      response.writeHead(200, { "content-type": "image/gif" }).end("old");
    };
    const answer = await hs1.hs.remotes.getContent(liar, { mediaId: "m", timeoutMs: 5 });
    if (!answer.ok) throw new Error(answer.why);
    expect(answer.body.contentType).toBe("image/gif");
    expect((await buffer(answer.body.body)).toString()).toBe("old");
    expect(asked).toMatchObject({
      request: `GET /_matrix/media/v3/download/${E(liar)}/m?allow_remote=false&timeout_ms=5`,
      authorization: undefined,
    });
    const size = { width: 3, height: 4, method: "scale" } as const;
    expect((await hs1.hs.remotes.getContentThumbnail(liar, { mediaId: "m", ...size })).ok).toBe(
      true,
    );
  });

  test("ends with an error if it is cut off", async () => {
    says = (response) => {
      response.writeHead(200, { ...multipart, "content-length": "1000" });
      response.write(bodyOf("", "half").slice(0, -8), () => response.destroy());
    };
    const answer = await hs1.hs.remotes.getContent(liar, { mediaId: "m" });
    if (!answer.ok) throw new Error(answer.why);
    await expect(buffer(answer.body.body)).rejects.toThrow(/closed/);
  });

  test("is refused as other questions are, and malformed if it is in no parts", async () => {
    saying({ errcode: "M_NOT_YET_UPLOADED" }, 504);
    expect(await hs1.hs.remotes.getContent(liar, { mediaId: "m" })).toMatchObject({
      why: "refused",
      status: 504,
      errcode: "M_NOT_YET_UPLOADED",
    });
    saying({});
    const answer = await hs1.hs.remotes.getContent(liar, { mediaId: "m" });
    expect(answer).toMatchObject({ ok: false, why: "malformed" });
  });
});

import { describe, expect, test } from "vitest";
import { homeserver } from "./client.ts";
import { askOf, CLEAR, routes, someOf, titled } from "./routes-stage.ts";
import { newStage, pathOn, type Stage, wholeBodies } from "./stage.ts";

const hs = await homeserver();

/** What is hard to hold, as it is written. */
const ODD = [
  '"\\u0000"',
  "1e400",
  "-1",
  "null",
  '{"a\\u0000b":"a\\ud800b"}',
  `"${"x".repeat(70_000)}"`,
];
const ODD_KEYS = ['"a\\u0000b"', '"__proto__"'];

/** Texts of a value in which one part of it, at whatever depth, is something else, or is called so. */
function* withOdd(value: unknown): Generator<string> {
  yield* ODD;
  if (Array.isArray(value)) {
    const texts = value.map((it) => JSON.stringify(it));
    for (const [index, it] of value.entries()) {
      for (const odd of withOdd(it)) yield `[${texts.with(index, odd).join(",")}]`;
    }
    return;
  }
  if (typeof value !== "object" || value === null) return;
  const entries = Object.entries(value).map(([key, it]) => [
    JSON.stringify(key),
    JSON.stringify(it),
  ]);
  const text = (index: number, key: string, it: string) =>
    `{${entries
      .with(index, [key, it])
      .map((pair) => pair.join(":"))
      .join(",")}}`;
  for (const [index, [key, it]] of Object.entries(value).entries()) {
    for (const odd of withOdd(it)) yield text(index, JSON.stringify(key), odd);
    for (const odd of ODD_KEYS) yield text(index, odd, JSON.stringify(it));
  }
}

/** Bodies that have something at all depths that their operations look into, beside those of the stage. */
function deepBodies({ user, roomId, parameters }: Stage): ReadonlyMap<string, object> {
  const { userId, deviceId } = user;
  const eventId = parameters.get("eventId") ?? "";
  const signed = { key: "x", signatures: { [userId]: { [`ed25519:${deviceId}`]: "x" } } };
  const events = {
    limit: 1,
    types: ["x"],
    not_types: ["x"],
    senders: ["@x:y"],
    not_senders: ["x"],
  };
  const inRoom = { ...events, rooms: [roomId], not_rooms: ["!x"], contains_url: true };
  const relation = { rel_type: "m.thread", event_id: eventId, "m.in_reply_to": { event_id: "$x" } };
  const list = {
    ranges: [[0, 1]],
    timeline_limit: 1,
    required_state: [["m.room.member", "$LAZY"]],
    filters: { is_dm: true, spaces: ["!x:y"], room_types: [null, "x"], tags: ["x"] },
  };
  const device = {
    algorithms: ["x"],
    device_id: deviceId,
    user_id: userId,
    keys: { [`ed25519:${deviceId}`]: "x" },
    signatures: { [userId]: { [`ed25519:${deviceId}`]: "x" } },
  };
  const state = { type: "m.room.name", state_key: "", content: { name: "x" } };
  return new Map(
    Object.entries<object>({
      sendMessage: {
        body: "x",
        msgtype: "m.text",
        "m.relates_to": relation,
        "m.mentions": { user_ids: ["@x:y"], room: true },
        "m.new_content": { body: "x" },
      },
      setRoomStateWithKey: {
        name: "x",
        users: { "@x:y": 1 },
        allow: [{ type: "x", room_id: "!x" }],
      },
      sendToDevice: { messages: { [userId]: { [deviceId]: { x: ["y"] } } } },
      uploadKeys: {
        device_keys: device,
        one_time_keys: { "signed_curve25519:A": signed },
        fallback_keys: { "signed_curve25519:B": { ...signed, fallback: true } },
      },
      queryKeys: { timeout: 1, device_keys: { [userId]: [deviceId] } },
      uploadCrossSigningSignatures: { [userId]: { [deviceId]: device } },
      defineFilter: {
        event_fields: ["x.y"],
        presence: events,
        account_data: events,
        room: { ...inRoom, timeline: inRoom, state: inRoom, ephemeral: inRoom },
      },
      setPushRule: {
        actions: ["notify", { set_tweak: "sound", value: "x" }],
        conditions: [{ kind: "event_match", key: "content.body", pattern: "x" }],
      },
      createRoom: {
        creation_content: { "m.federate": true, type: "x" },
        initial_state: [state],
        power_level_content_override: { users: { [userId]: 100 }, events: { x: 1 } },
      },
      postPusher: {
        app_id: "x",
        pushkey: "x",
        kind: "http",
        app_display_name: "x",
        device_display_name: "x",
        lang: "en",
        data: { url: "https://push.test/_matrix/push/v1/notify", format: "x", default_payload: {} },
      },
      slidingSync: {
        lists: { x: list },
        room_subscriptions: { [roomId]: { timeline_limit: 1, required_state: [["*", "*"]] } },
        extensions: {
          to_device: { enabled: true, since: "s1", limit: 1 },
          e2ee: { enabled: true },
          account_data: { enabled: true, lists: ["x"], rooms: [roomId] },
          receipts: { enabled: true, rooms: ["*"] },
          typing: { enabled: true },
        },
      },
      putRoomKeys: {
        rooms: {
          [roomId]: {
            sessions: {
              session: {
                first_message_index: 1,
                forwarded_count: 0,
                is_verified: false,
                session_data: { ciphertext: "x", ephemeral: ["x"] },
              },
            },
          },
        },
      },
      setAccountData: { ignored_users: { "@x:y": {} }, x: [{ y: "z" }] },
      setAccountDataPerRoom: { x: [{ y: "z" }] },
      setProfileField: { "org.example.field": { x: ["y"] } },
      setPresence: { presence: "online", status_msg: "x" },
    }),
  );
}

/** Whatever a user has, and whatever has been said to their room, they can go on. */
async function goesOn({ user, roomId }: Stage): Promise<void> {
  const words = { msgtype: "m.text", body: "words" };
  const ways = [
    ["GET", "/v3/sync", undefined],
    ["POST", "/unstable/org.matrix.simplified_msc3575/sync", SLIDING],
    ["GET", `/v3/rooms/${roomId}/messages?dir=b&limit=50`, undefined],
    ["GET", "/v3/pushrules/", undefined],
    ["GET", `/v3/profile/${user.userId}`, undefined],
    ["POST", "/v3/keys/query", { device_keys: { [user.userId]: [] } }],
    ["PUT", `/v3/rooms/${roomId}/send/m.room.message/at-the-end`, words],
    ["GET", `/v1/rooms/${roomId}/hierarchy`, undefined],
    ["GET", "/v3/notifications", undefined],
    ["GET", `/v1/rooms/${roomId}/threads`, undefined],
    ["POST", "/v3/user_directory/search", { search_term: user.localpart }],
  ] as const;
  for (const [method, path, body] of ways) {
    const answer = await user.call(method, path, body);
    expect(answer.status, `${path}: ${answer.text.slice(0, 300)}`).toBe(200);
  }
}

const SLIDING = {
  lists: { all: { ranges: [[0, 9]], timeline_limit: 20, required_state: [["*", "*"]] } },
  extensions: {
    account_data: { enabled: true },
    receipts: { enabled: true },
    e2ee: { enabled: true },
  },
};

/** They end what is asked with and about. */
const ENDING = new Set([
  "changePassword",
  "deactivateAccount",
  "deleteDevice",
  "deleteDevices",
  "forgetRoom",
  "leaveRoom",
  "logout",
  "logout_all",
]);

describe("a body", () => {
  const withBody = routes.filter((it) => it.hasBody && !ENDING.has(it.operation));
  test.each(titled(someOf(withBody)))(
    "of %s may hold at any depth what is hard to hold: %s %s",
    { timeout: 120_000 },
    async (_, method, path, route) => {
      const stage = await newStage(hs);
      const bodies = [deepBodies(stage), wholeBodies(stage)].flatMap(
        (it) => it.get(route.operation) ?? [],
      );
      for (const body of bodies) {
        for (const raw of withOdd(body)) {
          const { token } = stage.user;
          const answer = await askOf(hs, method, pathOn(stage, path), { token, raw });
          expect([...CLEAR, 502, 429], `${raw.slice(0, 500)}: ${answer.text}`).toContain(
            answer.status,
          );
        }
        await goesOn(stage);
      }
    },
  );
});

import type { TestHomeserver, TestUser } from "./client.ts";

/** Something that each route can be asked about: a user, in a room with an event, and with a file. */
export type Stage = {
  readonly user: TestUser;
  readonly roomId: string;
  /** What goes into a path in place of its parameters, by their names. */
  readonly parameters: ReadonlyMap<string, string>;
};

/** Makes a stage that nobody else uses. */
export async function newStage(hs: TestHomeserver): Promise<Stage> {
  const user = await hs.registerUser("stage");
  const roomId = await user.createRoom({ preset: "public_chat" });
  const eventId = await user.sendText(roomId, "here");
  const upload = { token: user.token, raw: "file", headers: { "content-type": "text/plain" } };
  const { body } = await hs.request("POST", "/_matrix/media/v3/upload", upload);
  const mediaId = String(body.content_uri).split("/").at(-1) ?? "";
  const parameters = {
    userId: user.userId,
    roomId,
    roomIdOrAlias: roomId,
    roomAlias: `#${user.localpart}:hs.test`,
    eventId,
    type: "org.example.type",
    eventType: "org.example.type",
    relType: "m.reference",
    stateKey: "key",
    txnId: "txn",
    receiptType: "m.read",
    kind: "content",
    ruleId: "org.example.rule",
    tag: "u.work",
    deviceId: user.deviceId,
    filterId: "none",
    serverName: "hs.test",
    mediaId,
    fileName: "file.txt",
    version: "1",
    sessionId: "session",
    keyName: "org.example.field",
    token: "none",
    threadRootId: eventId,
    appserviceId: "none",
    protocol: "none",
    networkId: "none",
    delayId: "none",
    action: "restart",
    stage: "m.login.dummy",
  };
  return { user, roomId, parameters: new Map(Object.entries(parameters)) };
}

/** A route's path, with the stage's own in place of its parameters, or something else for some of them. */
export function pathOn(
  { parameters }: Stage,
  path: string,
  instead: ReadonlyMap<string, string> = new Map(),
): string {
  return path.replaceAll(/:(\w+)/g, (_, name: string) => {
    const other = instead.get(name);
    // What is to stand there instead is written as it is to be sent.
    if (other !== undefined) return other;
    const own = parameters.get(name);
    if (own === undefined) throw new RangeError(`The stage has nothing for :${name}`);
    return encodeURIComponent(own);
  });
}

const SIGNED_ELSEWHERE = {
  mxid: "@invited:hs.test",
  sender: "@inviting:hs.test",
  token: "token",
  signatures: {},
};
const session = {
  first_message_index: 1,
  forwarded_count: 0,
  is_verified: false,
  session_data: { ciphertext: "x" },
};
const key = (userId: string) => ({
  user_id: userId,
  usage: ["master"],
  keys: { "ed25519:x": "x" },
  signatures: {},
});

/** Bodies that have every key which an operation reads, each of the right type. */
export function wholeBodies({ user, roomId, parameters }: Stage): ReadonlyMap<string, object> {
  const { userId, deviceId, localpart, password } = user;
  const auth = { type: "m.login.password", session: "none", password };
  const identifier = { type: "m.id.user", user: userId };
  const device = { device_id: "DEVICE", initial_device_display_name: "name", refresh_token: false };
  const backup = { algorithm: "m.megolm_backup.v1.curve25519-aes-sha2", auth_data: {} };
  const withUser = { user_id: "@other:hs.test", reason: "why" };
  const eventId = parameters.get("eventId") ?? "";
  const rule = { actions: ["notify"], pattern: "word" };
  return new Map(
    Object.entries<object>({
      register: {
        auth: { type: "m.login.dummy" },
        username: `${localpart}-2`,
        password,
        ...device,
      },
      registerBySharedSecret: {
        nonce: "x",
        username: "x",
        password: "x",
        displayname: "x",
        admin: false,
        mac: "x",
      },
      login: { type: "m.login.password", identifier, password, ...device },
      generateLoginToken: { auth },
      refresh: { refresh_token: "none" },
      changePassword: { auth, new_password: "battery staple", logout_devices: false },
      deactivateAccount: { auth, erase: false },
      setAdminLockUser: { locked: true },
      setAdminSuspendUser: { suspended: true },
      makeRegistrationToken: { token: "x", uses_allowed: 1, expiry_time: 1 },
      searchUserDirectory: { search_term: "x", limit: 1 },
      updateDevice: { display_name: "name" },
      deleteDevice: { auth },
      deleteDevices: { auth, devices: [deviceId] },
      sendToDevice: { messages: { [userId]: { "*": {} } } },
      uploadKeys: {
        device_keys: {
          user_id: userId,
          device_id: deviceId,
          algorithms: ["x"],
          keys: { [`ed25519:${deviceId}`]: "x" },
          signatures: {},
        },
        one_time_keys: {},
        fallback_keys: {},
      },
      queryKeys: { timeout: 1, device_keys: { [userId]: [] } },
      claimKeys: { timeout: 1, one_time_keys: { [userId]: { [deviceId]: "signed_curve25519" } } },
      uploadCrossSigningKeys: {
        auth,
        master_key: key(userId),
        self_signing_key: key(userId),
        user_signing_key: key(userId),
      },
      uploadCrossSigningSignatures: { [userId]: { [deviceId]: {} } },
      postRoomKeysVersion: backup,
      putRoomKeysVersion: { ...backup, version: "1" },
      putRoomKeys: { rooms: { [roomId]: { sessions: { session } } } },
      putRoomKeysByRoomId: { sessions: { session } },
      putRoomKeyBySessionId: session,
      setRoomTag: { order: 0.5 },
      defineFilter: { event_fields: ["x"], event_format: "client", presence: {}, room: {} },
      setPushRule: rule,
      setPushRuleEnabled: { enabled: true },
      scheduleDelayedEvent: { delay_ms: 600_000, state_key: "key", content: {} },
      manageDelayedEvent: { action: "restart" },
      setPushRuleActions: { actions: ["notify"] },
      setReadMarker: {
        "m.fully_read": eventId,
        "m.read": eventId,
        "m.read.private": eventId,
        "com.beeper.allow_backward": false,
      },
      postReceipt: { thread_id: "main", "com.beeper.allow_backward": false },
      setPresence: { presence: "online", status_msg: "here" },
      setTyping: { typing: true, timeout: 1000 },
      setRoomAlias: { room_id: roomId },
      setRoomVisibilityOnDirectory: { visibility: "public" },
      queryPublicRooms: {
        limit: 1,
        since: "f1_1",
        filter: { generic_search_term: "x", room_types: [null, "m.space"] },
        include_all_networks: false,
        third_party_instance_id: "",
      },
      createRoom: {
        visibility: "private",
        room_alias_name: `${localpart}-3`,
        name: "name",
        topic: "topic",
        invite: ["@other:hs.test"],
        invite_3pid: [],
        room_version: "12",
        creation_content: {},
        initial_state: [],
        preset: "private_chat",
        is_direct: false,
        power_level_content_override: {},
      },
      joinRoomById: { reason: "why", third_party_signed: SIGNED_ELSEWHERE },
      joinRoom: { reason: "why", third_party_signed: SIGNED_ELSEWHERE },
      search: {
        search_categories: {
          room_events: {
            search_term: "x",
            keys: ["content.body"],
            filter: { limit: 1 },
            order_by: "recent",
            event_context: { before_limit: 1, after_limit: 1, include_profile: true },
            include_state: true,
            groupings: { group_by: [{ key: "sender" }] },
          },
        },
      },
      reportRoom: { reason: "why" },
      reportEvent: { reason: "why" },
      reportUser: { reason: "why" },
      upgradeRoom: { new_version: "11", additional_creators: ["@other:hs.test"] },
      knockRoom: { reason: "why" },
      inviteUser: withUser,
      kick: { ...withUser, "org.matrix.msc4293.redact_events": false },
      ban: { ...withUser, "org.matrix.msc4293.redact_events": false },
      unban: withUser,
      leaveRoom: { reason: "why" },
      forgetRoom: {},
      redactEvent: { reason: "why" },
    }),
  );
}

import { describe, expect, test } from "vitest";
import { homeserver, refusal, type TestUser } from "./client.ts";

const hs = await homeserver();
const authOf = ({ userId, password }: TestUser, session?: string) => ({
  type: "m.login.password",
  identifier: { type: "m.id.user", user: userId },
  password,
  ...(session !== undefined && { session }),
});
const canLogIn = async (user: TestUser, password: string) =>
  (await hs.request("POST", "/v3/login", { body: { ...authOf(user), password } })).status;

/** @spec client-server-api#post_matrixclientv3accountpassword */
describe("changePassword", () => {
  const PATH = "/v3/account/password";

  test("asks for the old password; then the new one holds, and other devices are out", async () => {
    const alice = await hs.registerUser("alice");
    const other = await hs.logIn(alice);
    const body = { new_password: "battery staple" };
    const asked = await alice.call("POST", PATH, body);
    expect(asked).toMatchObject({
      status: 401,
      body: { flows: [{ stages: ["m.login.password"] }] },
    });
    const auth = authOf(alice, asked.body.session);
    const wrong = await alice.call("POST", PATH, { ...body, auth: { ...auth, password: "no" } });
    expect(wrong).toMatchObject({ status: 401, body: { errcode: "M_FORBIDDEN" } });
    expect((await alice.call("POST", PATH, { ...body, auth })).status).toBe(200);
    expect(await canLogIn(alice, alice.password)).toBe(403);
    expect(await canLogIn(alice, "battery staple")).toBe(200);
    expect((await alice.call("GET", "/v3/account/whoami")).status).toBe(200);
    expect((await other.call("GET", "/v3/account/whoami")).status).toBe(401);
  });

  test("leaves devices logged in, if it is to", async () => {
    const bob = await hs.registerUser("bob");
    const other = await hs.logIn(bob);
    const body = { new_password: "battery staple", logout_devices: false, auth: authOf(bob) };
    expect((await bob.call("POST", PATH, body)).status).toBe(200);
    expect((await other.call("GET", "/v3/account/whoami")).status).toBe(200);
  });

  test("refuses a password that is too short", async () => {
    const carol = await hs.registerUser("carol");
    const answer = await carol.call("POST", PATH, { new_password: "short", auth: authOf(carol) });
    expect(answer).toMatchObject(refusal(400, "M_WEAK_PASSWORD"));
  });
});

/** @spec client-server-api#post_matrixclientv3accountdeactivate */
describe("deactivateAccount", () => {
  test("ends the account: its tokens, its rooms, and the name for ever", async () => {
    const alice = await hs.registerUser("alice");
    const bob = await hs.registerUser("bob");
    const roomId = await bob.createRoom({ preset: "public_chat" });
    await alice.call("POST", `/v3/join/${roomId}`, {});
    const asked = await alice.call("POST", "/v3/account/deactivate", {});
    expect(asked.status).toBe(401);
    const auth = authOf(alice, asked.body.session);
    const done = await alice.call("POST", "/v3/account/deactivate", { auth });
    expect(done).toMatchObject({ status: 200, body: { id_server_unbind_result: "success" } });
    expect((await alice.call("GET", "/v3/account/whoami")).status).toBe(401);
    expect(await canLogIn(alice, alice.password)).toBe(403);
    const path = `/v3/register/available?username=${alice.localpart}`;
    expect(await hs.request("GET", path)).toMatchObject(refusal(400, "M_USER_IN_USE"));
    await expect
      .poll(async () => {
        const { body } = await bob.call("GET", `/v3/rooms/${roomId}/joined_members`);
        return Object.keys(body.joined);
      })
      .toEqual([bob.userId]);
  });

  test("hides what was said, if it is to be erased, from those who come later", async () => {
    const [alice, bob, carol] = [
      await hs.registerUser("alice"),
      await hs.registerUser("bob"),
      await hs.registerUser("carol"),
    ];
    const roomId = await bob.createRoom({ preset: "public_chat" });
    await alice.call("POST", `/v3/join/${roomId}`, {});
    const said = await alice.sendText(roomId, "to be forgotten");
    const kept = await bob.sendText(roomId, "to be kept");
    const auth = { type: "m.login.password", password: alice.password };
    const ended = await alice.call("POST", "/v3/account/deactivate", { auth, erase: true });
    expect(ended.status).toBe(200);
    await carol.call("POST", `/v3/join/${roomId}`, {});
    const bodyFor = async (user: TestUser, eventId: string) =>
      (await user.call("GET", `/v3/rooms/${roomId}/event/${eventId}`)).body.content.body;
    await expect.poll(async () => await bodyFor(carol, said), { timeout: 10_000 }).toBe(undefined);
    expect(await bodyFor(bob, said)).toBe("to be forgotten");
    expect(await bodyFor(carol, kept)).toBe("to be kept");
    const { chunk } = (await carol.call("GET", `/v3/rooms/${roomId}/messages?dir=b`)).body;
    expect(JSON.stringify(chunk)).not.toContain("to be forgotten");
  });
});

const admin = await hs.registerAdministrator("admin");

/** What is alike in locking and suspending: the paths, the key, and what then happens. */
const MODERATION = [
  {
    get: "getAdminLockUser",
    set: "setAdminLockUser",
    path: "/v1/admin/lock",
    key: "locked",
    status: 401,
    errcode: "M_USER_LOCKED",
  },
  {
    get: "getAdminSuspendUser",
    set: "setAdminSuspendUser",
    path: "/v1/admin/suspend",
    key: "suspended",
    status: 403,
    errcode: "M_USER_SUSPENDED",
  },
];

/** @spec client-server-api#account-moderation */
describe.each(MODERATION)("$set", ({ path, key, status, errcode }) => {
  test("keeps a user from acting until it is taken back", async () => {
    const bob = await hs.registerUser("bob");
    const where = `${path}/${bob.userId}`;
    expect((await admin.call("PUT", where, { [key]: true })).body).toEqual({ [key]: true });
    expect(await bob.call("POST", "/v3/createRoom", {})).toMatchObject(refusal(status, errcode));
    expect((await admin.call("PUT", where, { [key]: false })).body).toEqual({ [key]: false });
    expect((await bob.call("POST", "/v3/createRoom", {})).status).toBe(200);
  });

  test("is for administrators alone, and of users here who are none", async () => {
    const bob = await hs.registerUser("bob");
    const set = async (user: TestUser, userId: string) =>
      await user.call("PUT", `${path}/${userId}`, { [key]: true });
    const other = await hs.registerAdministrator("other");
    expect(await set(bob, admin.userId)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await set(admin, admin.userId)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await set(admin, other.userId)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await set(admin, "@bob:elsewhere.test")).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    expect(await set(admin, "@nobody:hs.test")).toMatchObject(refusal(404, "M_NOT_FOUND"));
  });
});

describe.each(MODERATION)("$get", ({ path, key }) => {
  test("says how an account stands, to administrators alone", async () => {
    const bob = await hs.registerUser("bob");
    const where = `${path}/${bob.userId}`;
    expect((await admin.call("GET", where)).body).toEqual({ [key]: false });
    await admin.call("PUT", where, { [key]: true });
    expect((await admin.call("GET", where)).body).toEqual({ [key]: true });
    const carol = await hs.registerUser("carol");
    expect(await carol.call("GET", where)).toMatchObject(refusal(403, "M_FORBIDDEN"));
  });
});

test("a suspended user can say nothing, in whichever way clients ask for it", async () => {
  const bob = await hs.registerUser("bob");
  const room = await bob.createRoom({ room_alias_name: bob.userId.slice(1, -":hs.test".length) });
  const alias = `%23${bob.userId.slice(1)}`;
  await admin.call("PUT", `/v1/admin/suspend/${bob.userId}`, { suspended: true });
  const words = { msgtype: "m.text", body: "words" };
  const later = `/unstable/org.matrix.msc4140/rooms/${room}/delayed_event/m.room.message/t2`;
  const ways = [
    ["PUT", `/v3/rooms/${room}/send/m.room.message/t1`, words],
    ["POST", `/v3/rooms/${room}/send/m.room.message`, words],
    ["PUT", later, { delay_ms: 1, content: words }],
    ["PUT", `/v3/rooms/${room}/typing/${bob.userId}`, { typing: true, timeout: 1000 }],
    ["PUT", `/v3/presence/${bob.userId}/status`, { presence: "online", status_msg: "words" }],
    // The room says what it is called, and the directory shows what it says.
    ["DELETE", `/v3/directory/room/${alias}`, undefined],
    ["PUT", `/v3/directory/list/room/${room}`, { visibility: "public" }],
  ] as const;
  for (const [method, path, body] of ways) {
    expect(await bob.call(method, path, body), path).toMatchObject(
      refusal(403, "M_USER_SUSPENDED"),
    );
  }
});

test("a locked user is nobody to those who ask by an OpenID token, until they are unlocked", async () => {
  const bob = await hs.registerUser("bob");
  const lock = async (locked: boolean) =>
    await admin.call("PUT", `/v1/admin/lock/${bob.userId}`, { locked });
  const { body } = await bob.call("POST", `/v3/user/${bob.userId}/openid/request_token`, {});
  const path = `/_matrix/federation/v1/openid/userinfo?access_token=${body.access_token}`;
  await lock(true);
  expect(await hs.request("GET", path)).toMatchObject(refusal(401, "M_UNKNOWN_TOKEN"));
  await lock(false);
  expect((await hs.request("GET", path)).body).toEqual({ sub: bob.userId });
});

test("a locked user can log out, and is told that the device need not forget", async () => {
  const bob = await hs.registerUser("bob");
  await admin.call("PUT", `/v1/admin/lock/${bob.userId}`, { locked: true });
  expect((await bob.call("GET", "/v3/sync")).body.soft_logout).toBe(true);
  expect((await bob.call("POST", "/v3/logout")).status).toBe(200);
});

type Whois = {
  readonly user_id: string;
  readonly devices: Readonly<Record<string, { readonly sessions: readonly unknown[] }>>;
};

/** @spec client-server-api#get_matrixclientv3adminwhoisuserid */
describe("getWhoIs", () => {
  test("names devices and addresses, to the user and to administrators", async () => {
    const [alice, bob] = [await hs.registerUser("alice"), await hs.registerUser("bob")];
    const admin = await hs.registerAdministrator("admin");
    const path = `/v3/admin/whois/${alice.userId}`;
    for (const asks of [alice, admin]) {
      const { body } = await asks.call<Whois>("GET", path);
      expect(body.user_id).toBe(alice.userId);
      expect(Object.keys(body.devices)).toEqual([alice.deviceId]);
      expect(body.devices[alice.deviceId]?.sessions).toEqual([
        {
          connections: [
            { ip: "127.0.0.1", last_seen: expect.any(Number), user_agent: expect.any(String) },
          ],
        },
      ]);
    }
    expect(await bob.call("GET", path)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    const nobody = await admin.call("GET", "/v3/admin/whois/@nobody:hs.test");
    expect(nobody).toMatchObject(refusal(404, "M_NOT_FOUND"));
  });
});

import { describe, expect, test } from "vitest";
import { homeserver, type Method, refusal, type TestUser } from "./client.ts";

const hs = await homeserver();
const VERSION = "/v3/room_keys/version";
const algorithm = "m.megolm_backup.v1.curve25519-aes-sha2";
const made = { algorithm, auth_data: { public_key: "x", signatures: {} } };
const session = (first_message_index: number) => ({
  first_message_index,
  forwarded_count: 0,
  is_verified: false,
  session_data: { ciphertext: `from ${first_message_index}`, ephemeral: "x", mac: "x" },
});
const notFound = refusal(404, "M_NOT_FOUND");

/** A user with a backup that holds keys of two rooms. */
async function backedUp(): Promise<{ user: TestUser; version: string; query: string }> {
  const user = await hs.registerUser("alice");
  const { version } = (await user.call("POST", VERSION, made)).body;
  const query = `?version=${version}`;
  const rooms = {
    "!a:x": { sessions: { s1: session(1), s2: session(2) } },
    "!b:x": { sessions: { s3: session(3) } },
  };
  const stored = await user.call("PUT", `/v3/room_keys/keys${query}`, { rooms });
  expect(stored).toMatchObject({ status: 200, body: { count: 3 } });
  return { user, version, query };
}

/** @spec client-server-api#post_matrixclientv3room_keysversion */
describe("postRoomKeysVersion", () => {
  test("begins a backup, beside which the one before is closed", async () => {
    const { user, query } = await backedUp();
    const next = await user.call("POST", VERSION, made);
    expect(next.status).toBe(200);
    const late = await user.call("PUT", `/v3/room_keys/keys${query}`, { rooms: {} });
    expect(late).toMatchObject({
      status: 403,
      body: { errcode: "M_WRONG_ROOM_KEYS_VERSION", current_version: next.body.version },
    });
  });

  test("begins no more than anybody needs, until one is ended", async () => {
    const user = await hs.registerUser("alice");
    const versions: string[] = [];
    for (let count = 0; count < 100; count++) {
      versions.push((await user.call("POST", VERSION, made)).body.version);
    }
    expect(await user.call("POST", VERSION, made)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect((await user.call("GET", VERSION)).body.version).toBe(versions.at(-1));
    await user.call("DELETE", `${VERSION}/${versions[0]}`);
    expect((await user.call("POST", VERSION, made)).status).toBe(200);
  });
});

/** @spec client-server-api#get_matrixclientv3room_keysversion */
describe("getRoomKeysVersionCurrent", () => {
  test("tells of the newest backup", async () => {
    const { user, version } = await backedUp();
    expect((await user.call("GET", VERSION)).body).toMatchObject({ ...made, version, count: 3 });
    const bob = await hs.registerUser("bob");
    expect(await bob.call("GET", VERSION)).toMatchObject(notFound);
  });
});

/** @spec client-server-api#get_matrixclientv3room_keysversionversion */
describe("getRoomKeysVersion", () => {
  test("tells of a backup of one's own", async () => {
    const { user, version } = await backedUp();
    expect((await user.call("GET", `${VERSION}/${version}`)).body).toMatchObject({ version });
    expect(await user.call("GET", `${VERSION}/none`)).toMatchObject(notFound);
  });
});

/** @spec client-server-api#put_matrixclientv3room_keysversionversion */
describe("putRoomKeysVersion", () => {
  test("changes what is said of a backup, but not its algorithm", async () => {
    const { user, version } = await backedUp();
    const auth_data = { public_key: "x", signatures: { a: { b: "c" } } };
    const path = `${VERSION}/${version}`;
    expect((await user.call("PUT", path, { algorithm, auth_data, version })).status).toBe(200);
    expect((await user.call("GET", path)).body.auth_data).toEqual(auth_data);
    const other = await user.call("PUT", path, { algorithm: "other", auth_data, version });
    expect(other).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    const wrong = await user.call("PUT", path, { algorithm, auth_data, version: "wrong" });
    expect(wrong).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    expect(await user.call("PUT", `${VERSION}/999`, { algorithm, auth_data })).toMatchObject(
      notFound,
    );
  });
});

/** @spec client-server-api#delete_matrixclientv3room_keysversionversion */
describe("deleteRoomKeysVersion", () => {
  test("ends a backup and all that it holds", async () => {
    const { user, version, query } = await backedUp();
    expect((await user.call("DELETE", `${VERSION}/${version}`)).body).toEqual({});
    expect(await user.call("GET", VERSION)).toMatchObject(notFound);
    expect(await user.call("GET", `/v3/room_keys/keys${query}`)).toMatchObject(notFound);
  });
});

test("clients that know backups from before they were in the specification find all of it", async () => {
  const user = await hs.registerUser("alice");
  const asks = async (method: Method, path: string, body?: object) => {
    const answer = await user.call(method, `/unstable/room_keys${path}`, body);
    expect(answer, `${method} ${path}`).toMatchObject({ status: 200 });
    return answer.body;
  };
  const { version } = await asks("POST", "/version", made);
  expect(await asks("GET", "/version")).toMatchObject({ version });
  await asks("PUT", `/version/${version}`, { ...made, version });
  expect(await asks("GET", `/version/${version}`)).toMatchObject(made);
  const query = `?version=${version}`;
  const stored = { rooms: { "!a:x": { sessions: { s1: session(1) } } } };
  for (const [place, body] of [
    ["", stored],
    ["/!a:x", stored.rooms["!a:x"]],
    ["/!a:x/s1", session(1)],
  ] as const) {
    const path = `/keys${place}${query}`;
    expect(await asks("PUT", path, body)).toMatchObject({ count: 1 });
    expect(await asks("GET", path)).toEqual(body);
    expect(await asks("DELETE", path)).toMatchObject({ count: 0 });
  }
  await asks("DELETE", `/version/${version}`);
});

/** What keys are answered as: those of all rooms, or those of one. */
type Keys = {
  readonly rooms: Readonly<Record<string, Pick<Keys, "sessions">>>;
  readonly sessions: Readonly<Record<string, object>>;
};

/** The three ways to name keys, what each stores, and how it is read. */
const WAYS = [
  {
    put: "putRoomKeys",
    get: "getRoomKeys",
    delete_: "deleteRoomKeys",
    path: "",
    left: 0,
    bodyOf: (it: object) => ({ rooms: { "!a:x": { sessions: { s1: it } } } }),
    read: (it: Keys) => it.rooms["!a:x"]?.sessions["s1"],
  },
  {
    put: "putRoomKeysByRoomId",
    get: "getRoomKeysByRoomId",
    delete_: "deleteRoomKeysByRoomId",
    path: "/!a:x",
    left: 1,
    bodyOf: (it: object) => ({ sessions: { s1: it } }),
    read: (it: Keys) => it.sessions["s1"],
  },
  {
    put: "putRoomKeyBySessionId",
    get: "getRoomKeyBySessionId",
    delete_: "deleteRoomKeyBySessionId",
    path: "/!a:x/s1",
    left: 2,
    bodyOf: (it: object) => it,
    read: (it: Keys) => it,
  },
];

/** @spec client-server-api#put_matrixclientv3room_keyskeys */
describe.each(WAYS)("$put", ({ path, bodyOf, read }) => {
  test("keeps the better key, and says by a new etag that it has changed", async () => {
    const { user, query } = await backedUp();
    const where = `/v3/room_keys/keys${path}${query}`;
    const before = (await user.call("GET", VERSION)).body;
    const worse = await user.call("PUT", where, bodyOf(session(5)));
    expect(worse.body).toEqual({ count: 3, etag: before.etag });
    const better = await user.call("PUT", where, bodyOf(session(0)));
    expect(better.body.count).toBe(3);
    expect(better.body.etag).not.toBe(before.etag);
    expect(read((await user.call<Keys>("GET", where)).body)).toEqual(session(0));
    expect(await user.call("PUT", `/v3/room_keys/keys${path}`, bodyOf(session(0)))).toMatchObject(
      refusal(400, "M_MISSING_PARAM"),
    );
  });
});

/** @spec client-server-api#get_matrixclientv3room_keyskeys */
describe.each(WAYS)("$get", ({ path, read }) => {
  test("gives keys back as they were stored", async () => {
    const { user, query } = await backedUp();
    const { status, body } = await user.call<Keys>("GET", `/v3/room_keys/keys${path}${query}`);
    expect(status).toBe(200);
    expect(read(body)).toEqual(session(1));
    expect(await user.call("GET", `/v3/room_keys/keys${path}?version=999`)).toMatchObject(notFound);
  });
});

/** @spec client-server-api#delete_matrixclientv3room_keyskeys */
describe.each(WAYS)("$delete_", ({ path, left }) => {
  test("deletes these keys and no others", async () => {
    const { user, query } = await backedUp();
    const { status, body } = await user.call("DELETE", `/v3/room_keys/keys${path}${query}`);
    expect([status, body.count]).toEqual([200, left]);
    expect((await user.call("GET", VERSION)).body).toMatchObject({ count: left, etag: body.etag });
  });
});

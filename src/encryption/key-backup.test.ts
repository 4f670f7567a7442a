import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";

const homeservers = await testHomeservers(1, LENIENT);
afterAll(async () => await homeservers.close());
const asked = asking(homeservers.hs);

let token: string;
beforeAll(async () => {
  ({ access_token: token } = await registered(asked, "alice"));
});

async function ask(method: string, path: string, body?: unknown) {
  return await asked(method, `room_keys/${path}`, { token, ...(body !== undefined && { body }) });
}

const ALGORITHM = "m.megolm_backup.v1.curve25519-aes-sha2";

async function newVersion(): Promise<string> {
  const body = { algorithm: ALGORITHM, auth_data: { public_key: "abc" } };
  return (await ask("POST", "version", body)).body.version;
}

type Session = { first_message_index: number; forwarded_count: number; is_verified: boolean };

const session = (it: Partial<Session> = {}) => ({
  first_message_index: 1,
  forwarded_count: 0,
  is_verified: false,
  session_data: { ciphertext: "x" },
  ...it,
});

test("versions: the newest is the current one, and no number is used twice", async () => {
  const first = await newVersion();
  const second = await newVersion();
  expect((await ask("GET", "version")).body).toEqual({
    algorithm: ALGORITHM,
    auth_data: { public_key: "abc" },
    count: 0,
    etag: "0",
    version: second,
  });
  expect((await ask("DELETE", `version/${second}`)).status).toBe(200);
  expect((await ask("DELETE", `version/${second}`)).body.errcode).toBe("M_NOT_FOUND");
  expect((await ask("GET", `version/${second}`)).status).toBe(404);
  expect((await ask("GET", "version")).body.version).toBe(first);
  expect([first, second]).not.toContain(await newVersion());
});

test("of a version only the auth data can be changed", async () => {
  const version = await newVersion();
  const update = { algorithm: ALGORITHM, auth_data: { public_key: "def" } };
  expect((await ask("PUT", `version/${version}`, { ...update, version })).status).toBe(200);
  expect((await ask("GET", "version")).body.auth_data).toEqual({ public_key: "def" });
  for (const [path, body, errcode] of [
    [version, { ...update, algorithm: "m.other" }, "M_INVALID_PARAM"],
    [version, { ...update, version: "other" }, "M_INVALID_PARAM"],
    ["4711", update, "M_NOT_FOUND"],
    ["x", update, "M_NOT_FOUND"],
  ] as const) {
    expect((await ask("PUT", `version/${path}`, body)).body.errcode).toBe(errcode);
  }
});

test("keys are stored, read and deleted by session, by room and all together", async () => {
  const old = await newVersion();
  const version = await newVersion();
  const at = (path: string) => `keys${path}?version=${version}`;
  const s = session();
  expect((await ask("PUT", at("/!a:x/s1"), s)).body).toEqual({ count: 1, etag: "1" });
  expect((await ask("PUT", at("/!a:x"), { sessions: { s1: s, s2: s } })).body).toEqual({
    count: 2,
    etag: "2",
  });
  const rooms = { "!a:x": { sessions: { s1: s, s2: s } }, "!b:x": { sessions: { s3: s } } };
  expect((await ask("PUT", at(""), { rooms })).body).toEqual({ count: 3, etag: "3" });
  expect((await ask("PUT", at(""), { rooms })).body).toEqual({ count: 3, etag: "3" });

  expect((await ask("GET", at(""))).body).toEqual({ rooms });
  expect((await ask("GET", at("/!b:x"))).body).toEqual(rooms["!b:x"]);
  expect((await ask("GET", at("/!c:x"))).body).toEqual({ sessions: {} });
  expect((await ask("GET", at("/!b:x/s3"))).body).toEqual(s);
  expect((await ask("GET", at("/!b:x/s4"))).body.errcode).toBe("M_NOT_FOUND");

  const stale = await ask("PUT", `keys?version=${old}`, { rooms });
  expect([stale.status, stale.body.errcode, stale.body.current_version]).toEqual([
    403,
    "M_WRONG_ROOM_KEYS_VERSION",
    version,
  ]);
  expect((await ask("GET", "keys?version=4711")).status).toBe(404);
  expect((await ask("GET", "keys")).body.errcode).toBe("M_MISSING_PARAM");

  expect((await ask("DELETE", at("/!a:x/s1"))).body).toEqual({ count: 2, etag: "4" });
  expect((await ask("DELETE", at("/!a:x/s1"))).body).toEqual({ count: 2, etag: "4" });
  expect((await ask("DELETE", at("/!a:x"))).body).toEqual({ count: 1, etag: "5" });
  expect((await ask("DELETE", at(""))).body).toEqual({ count: 0, etag: "6" });
  expect((await ask("GET", at(""))).body).toEqual({ rooms: {} });
});

test("a backup is read in pieces, and none of it twice or not at all", async () => {
  const version = await newVersion();
  const sessionsOf = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`s"${index}`, session()]));
  const rooms = {
    "!a:x": { sessions: sessionsOf(249) },
    "!b:x": { sessions: sessionsOf(1) },
    "!c:x": { sessions: sessionsOf(750) },
  };
  await ask("PUT", `keys?version=${version}`, { rooms });
  expect((await ask("GET", `keys?version=${version}`)).body).toEqual({ rooms });
  for (const [roomId, room] of Object.entries(rooms)) {
    expect((await ask("GET", `keys/${roomId}?version=${version}`)).body).toEqual(room);
  }
});

test("nothing in a backup is larger than any key", async () => {
  const version = await newVersion();
  const large = { x: "x".repeat(65_536) };
  for (const [method, path, body] of [
    ["POST", "version", { algorithm: ALGORITHM, auth_data: large }],
    ["PUT", `version/${version}`, { algorithm: ALGORITHM, auth_data: large }],
    ["PUT", `keys/!a:x/s?version=${version}`, { ...session(), session_data: large }],
  ] as const) {
    const refused = await ask(method, path, body);
    expect([refused.status, refused.body.errcode]).toEqual([413, "M_TOO_LARGE"]);
  }
  expect((await ask("GET", "version")).body).toMatchObject({ version, count: 0 });
});

test("who has no backup is told so", async () => {
  const { access_token: other } = await registered(asked, "bob");
  const rooms = { "!a:x": { sessions: { s: session() } } };
  for (const [method, path, body] of [
    ["GET", "version", undefined],
    ["PUT", "keys?version=1", { rooms }],
    ["DELETE", "keys?version=1", undefined],
  ] as const) {
    const options = { token: other, ...(body && { body }) };
    expect((await asked(method, `room_keys/${path}`, options)).body.errcode).toBe("M_NOT_FOUND");
  }
});

test("the better key stays: verified, then reaching further back, then less often forwarded", async () => {
  const version = await newVersion();
  const key = fc.record({
    is_verified: fc.boolean(),
    first_message_index: fc.nat(2),
    forwarded_count: fc.nat(2),
  });
  let count = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(key, { minLength: 2, maxLength: 5 }), async (keys) => {
      const path = `keys/!a:x/s${count++}?version=${version}`;
      for (const it of keys) await ask("PUT", path, session(it));
      const rank = (it: Session) => [
        it.is_verified ? 0 : 1,
        it.first_message_index,
        it.forwarded_count,
      ];
      const best = keys.toSorted((a, b) => (rank(a).join() < rank(b).join() ? -1 : 1))[0];
      expect((await ask("GET", path)).body).toEqual(session(best));
    }),
    { numRuns: 25 },
  );
});

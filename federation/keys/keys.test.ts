import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Remotes } from "#src/homeserver/remotes.ts";
import { openSigningKey, rotateSigningKey } from "#src/homeserver/signing-key.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import { canonicalJson, type CanonicalObject } from "#src/kit/canonical-json.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { type SigningKey, signingKeyFromSeed, signJson } from "#src/kit/signed-json.ts";
import { asking } from "#src/testing-http.ts";
import { type FederatedHomeserver, testFederation } from "../testing.ts";
import { fetchKeys } from "./fetch-keys.ts";
import { forgetUnusedKeys } from "./job-forget-unused-keys.ts";
import { verifyKeysOf, verifyKeysOfMany } from "./verify-keys.ts";

const DAY = 86_400_000;
const federation = await testFederation();
let hs1: FederatedHomeserver;
let hs2: FederatedHomeserver;
beforeAll(async () => {
  hs1 = await federation.open({ host: "hs1.test", processes: 2 });
  hs2 = await federation.open({ host: "hs2.test" });
});
afterAll(async () => await federation.close());

function newKey(version = "k"): SigningKey {
  return signingKeyFromSeed(`ed25519:${version}`, randomBytes(32));
}

type Published = { name: string; keys: SigningKey[]; old?: [SigningKey, number][]; until?: number };

/** What a server publishes, signed by nobody yet. */
function documentOf({
  name,
  keys,
  old = [],
  until = Date.now() + DAY,
}: Published): CanonicalObject {
  const key = (it: SigningKey) => unpaddedBase64(it.publicKey);
  return {
    server_name: name,
    valid_until_ts: until,
    verify_keys: Object.fromEntries(keys.map((it) => [it.keyId, { key: key(it) }])),
    old_verify_keys: Object.fromEntries(
      old.map(([it, expired_ts]) => [it.keyId, { key: key(it), expired_ts }]),
    ),
  };
}

/** A server that publishes what the test says. */
async function publisher(host = "liar.test") {
  const it = { says: {} as CanonicalObject, asked: 0, status: 200, name: "" as ServerName };
  it.name = (await federation.pretend(host, (_request, response) => {
    it.asked++;
    response.writeHead(it.status).end(JSON.stringify(it.says));
  })) as ServerName;
  return it;
}

/** Such a server with one key, that publishes it as it should. */
async function honest(host?: string) {
  const server = await publisher(host);
  const key = newKey();
  server.says = signJson(documentOf({ name: server.name, keys: [key] }), server.name, key);
  return Object.assign(server, { key });
}

/** A homeserver that no server answers until a test has it so. */
function hanging() {
  const asked: ServerName[] = [];
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const getServerKey: Remotes["getServerKey"] = async (server) => {
    asked.push(server);
    await released;
    return { ok: false, why: "unreachable", cause: 0 };
  };
  return { hs: { ...hs1.hs, remotes: { ...hs1.hs.remotes, getServerKey } }, asked, release };
}

describe("our own keys", () => {
  test("are published with our signature, for a day", async () => {
    const { body } = await asking(hs1.hs)("GET", "/_matrix/key/v2/server");
    const { keyId, publicKey } = hs1.hs.signingKey;
    expect(body).toMatchObject({
      server_name: hs1.name,
      verify_keys: { [keyId]: { key: unpaddedBase64(publicKey) } },
      old_verify_keys: {},
    });
    expect(body.valid_until_ts - Date.now()).toBeGreaterThan(DAY / 2);
    // As another of our servers judges it.
    const known = await verifyKeysOf(hs2.hs, hs1.name, [keyId], Date.now());
    expect(known.get(keyId)).toMatchObject({ isOld: false, base64: unpaddedBase64(publicKey) });
  });

  test("are sent in the form that is signed", async () => {
    const { response, body } = await asking(hs1.hs)("GET", "/_matrix/key/v2/server");
    expect(await response.text()).toBe(canonicalJson(body));
  });

  test("are found under the path that old servers know", async () => {
    const { status, body } = await asking(hs1.hs)("GET", "/_matrix/key/v2/server/ed25519%3Aauto");
    expect(status).toBe(200);
    expect(body.server_name).toBe(hs1.name);
  });

  test("are known to us as to others, when our own events come back", async () => {
    const { keyId } = hs1.hs.signingKey;
    expect((await verifyKeysOf(hs1.hs, hs1.name, [keyId], 0)).has(keyId)).toBe(true);
  });

  test("can be replaced while processes run", async () => {
    const server = await federation.open({ host: "hs3.test" });
    const { hs } = server;
    const log = hs.log;
    const before = hs.signingKey.keyId;
    const [one, two] = await Promise.all(
      [1, 2].map(async () => await openSigningKey(hs.sql, Date.now, { log, everyMs: 20 })),
    );
    expect(one?.current().keyId).toBe(before);

    const next = await rotateSigningKey(hs.sql, Date.now());
    await expect.poll(() => [one?.current().keyId, two?.current().keyId]).toEqual([next, next]);
    // Both are valid for a while, and both sign.
    const during = (await asking(hs)("GET", "/_matrix/key/v2/server")).body;
    expect(Object.keys(during.verify_keys).toSorted()).toEqual([before, next].toSorted());
    expect(Object.keys(during.signatures[server.name])).toHaveLength(2);

    // Then the old one is old, and says since when.
    const later = { ...hs, now: () => Date.now() + 3_600_000 };
    const after = (await asking(later)("GET", "/_matrix/key/v2/server")).body;
    expect(Object.keys(after.verify_keys)).toEqual([next]);
    expect(after.old_verify_keys[before].expired_ts).toBeLessThan(later.now());
    for (const it of [one, two]) it?.close();
  });

  test("are two only for a while, however many replace them at once", async () => {
    const { sql } = hs2.hs;
    await Promise.all([1, 2, 3].map(async () => await rotateSigningKey(sql, Date.now())));
    const inUse = await sql`select key_id from signing_keys where expired_ms is null`;
    expect(inUse).toHaveLength(1);
  });
});

describe("another server's keys", () => {
  test("are asked for once, by however many at once, and kept for other processes", async () => {
    const server = await honest();
    const [first, second] = hs1.all;
    if (!first || !second) throw new Error("two processes are needed");
    const ask = async (hs = first) =>
      await verifyKeysOf(hs, server.name, [server.key.keyId], Date.now());
    const all = await Promise.all([ask(), ask(), ask()]);
    expect(all.every((it) => it.has(server.key.keyId))).toBe(true);
    await ask();
    expect((await ask(second)).has(server.key.keyId)).toBe(true);
    expect(server.asked).toBe(1);
  });

  test("are waited for until they are stored, by whoever needs them meanwhile", async () => {
    const server = await honest();
    const { sql } = hs1.hs;
    const look = async () =>
      await verifyKeysOf(hs1.hs, server.name, [server.key.keyId], Date.now());
    const storing = async () => {
      const rows = await sql`
        select 1 from pg_locks where relation = 'server_keys'::regclass and not granted`;
      return rows.length;
    };
    const { first, second } = await sql.begin(async (tx) => {
      await tx`lock table server_keys in share mode`;
      const asking = look();
      await expect.poll(storing).toBe(1);
      const late = look();
      // Time enough to find nothing, were it not to wait.
      await Promise.race([late, delay(200)]);
      return { first: asking, second: late };
    });
    const keys = await Promise.all([first, second]);
    expect(keys.map((it) => it.has(server.key.keyId))).toEqual([true, true]);
    expect(server.asked).toBe(1);
  });

  test("of many servers are asked for at once", async () => {
    const servers = await Promise.all([1, 2, 3].map(async () => await honest()));
    const found = await verifyKeysOfMany(
      hs1.hs,
      servers.map((it) => ({ server: it.name, keyIds: [it.key.keyId], validAt: Date.now() })),
    );
    expect([...found.keys()].toSorted()).toEqual(servers.map((it) => it.name).toSorted());
  });

  test("are not asked for time and again when there are none", async () => {
    const server = await honest();
    for (const version of ["a", "b", "c", "d"]) {
      expect((await verifyKeysOf(hs1.hs, server.name, [`ed25519:${version}`], 0)).size).toBe(0);
    }
    expect(server.asked).toBe(1);
    const down = await publisher();
    down.status = 500;
    for (const _ of [1, 2, 3]) await verifyKeysOf(hs1.hs, down.name, ["ed25519:a"], 0);
    expect(down.asked).toBe(1);
  });

  test("are asked for as soon as there is room again, where too many others were", async () => {
    const { hs, asked, release } = hanging();
    const others = Array.from({ length: 10_100 }, (_, n) => `other${n}.test` as ServerName);
    const asking = Promise.all(others.map(async (it) => await fetchKeys(hs, it)));
    const late = "late.test" as ServerName;
    expect(await fetchKeys(hs, late)).toBeUndefined();
    expect(asked).not.toContain(late);
    release();
    await asking;
    await fetchKeys(hs, late);
    expect(asked).toContain(late);
  });

  test("are waited for no longer because many others do not answer", async () => {
    const { hs, asked, release } = hanging();
    const others = Array.from({ length: 300 }, (_, n) => `other${n}.test` as ServerName);
    const asking = Promise.all(others.map(async (it) => await fetchKeys(hs, it)));
    const waiting = fetchKeys(hs, "real.test" as ServerName);
    await expect.poll(() => asked, { timeout: 15_000 }).toContain("real.test");
    release();
    await Promise.all([asking, waiting]);
  });

  test("are asked for again when their time is over, or a new one is used", async () => {
    const server = await honest();
    let time = Date.now();
    const hs = { ...hs1.hs, now: () => time };
    await verifyKeysOf(hs, server.name, [server.key.keyId], time);
    time += 2 * DAY;
    const next = newKey("next");
    server.says = signJson(
      documentOf({
        name: server.name,
        keys: [next],
        old: [[server.key, time - DAY]],
        until: time + DAY,
      }),
      server.name,
      next,
    );
    const found = await verifyKeysOf(hs, server.name, [server.key.keyId, next.keyId], time);
    expect(server.asked).toBe(2);
    expect(found.get(next.keyId)?.isOld).toBe(false);
    expect(found.get(server.key.keyId)).toMatchObject({ isOld: true, validUntilTs: time - DAY });
    // An old key will never be valid for longer.
    time += 60_000;
    await verifyKeysOf(hs, server.name, [server.key.keyId], time);
    expect(server.asked).toBe(2);
  });

  test("are believed for a week at most, so that they can be withdrawn", async () => {
    const server = await publisher();
    const key = newKey();
    const far = Date.now() + 1000 * DAY;
    server.says = signJson(
      documentOf({ name: server.name, keys: [key], until: far }),
      server.name,
      key,
    );
    const found = await verifyKeysOf(hs1.hs, server.name, [key.keyId], Date.now());
    const days = ((found.get(key.keyId)?.validUntilTs ?? 0) - Date.now()) / DAY;
    expect(Math.round(days)).toBe(7);
  });

  test.each<[string, (it: { name: ServerName; key: SigningKey }) => CanonicalObject]>([
    ["nobody has signed", ({ name, key }) => documentOf({ name, keys: [key] })],
    [
      "are another server's",
      ({ name, key }) => signJson(documentOf({ name: "else.test", keys: [key] }), name, key),
    ],
    [
      "another key has signed",
      ({ name, key }) =>
        signJson(documentOf({ name, keys: [key] }), name, newKey(key.keyId.slice(8))),
    ],
    [
      "only an old key has signed",
      ({ name, key }) => {
        const old = newKey("old");
        return signJson(documentOf({ name, keys: [key], old: [[old, 5]] }), name, old);
      },
    ],
    [
      "were changed after they were signed",
      ({ name, key }) => ({
        ...signJson(documentOf({ name, keys: [key] }), name, key),
        valid_until_ts: 1e15,
      }),
    ],
    ["are no keys", () => ({ server_keys: [] })],
    [
      "have no Canonical JSON",
      ({ name, key }) => ({ ...signJson(documentOf({ name, keys: [key] }), name, key), n: 0.5 }),
    ],
  ])("that %s are not believed", async (_why, say) => {
    const server = await publisher();
    const key = newKey();
    server.says = say({ name: server.name, key });
    expect((await verifyKeysOf(hs1.hs, server.name, [key.keyId], 0)).size).toBe(0);
    expect(await hs1.hs.sql`select 1 from server_keys where server_name = ${server.name}`).toEqual(
      [],
    );
  });

  test("that were once valid are not replaced by what is not its server's word", async () => {
    const server = await honest();
    let time = Date.now();
    const hs = { ...hs1.hs, now: () => time };
    await verifyKeysOf(hs, server.name, [server.key.keyId], time);
    server.says = documentOf({ name: server.name, keys: [newKey()] });
    time += 2 * DAY;
    const found = await verifyKeysOf(hs, server.name, [server.key.keyId], time);
    expect(found.get(server.key.keyId)?.base64).toBe(unpaddedBase64(server.key.publicKey));
  });

  test("go a year after their last use", async () => {
    const server = await honest();
    await verifyKeysOf(hs1.hs, server.name, [server.key.keyId], 0);
    const rows = async () =>
      (await hs1.hs.sql`select 1 from server_keys where server_name = ${server.name}`).length;
    const { signal } = new AbortController();
    await forgetUnusedKeys.run({ ...hs1.hs, now: () => Date.now() + 364 * DAY }, signal);
    expect(await rows()).toBe(1);
    await forgetUnusedKeys.run({ ...hs1.hs, now: () => Date.now() + 366 * DAY }, signal);
    expect(await rows()).toBe(0);
  });
});

describe("a notary", () => {
  /** A homeserver of ours that trusts another as its notary. */
  async function trusting(notary: string) {
    return await federation.open({
      host: "hs3.test",
      variables: { ARCHIPEL_FEDERATION_TRUSTED_KEY_SERVERS: notary },
    });
  }

  test("tells of a server that is down what it said when it was not", async () => {
    const server = await honest();
    const { keyId } = server.key;
    await verifyKeysOf(hs2.hs, server.name, [keyId], Date.now());
    server.status = 500;
    const reader = await trusting(hs2.name);
    const found = await verifyKeysOf(reader.hs, server.name, [keyId], Date.now());
    expect(found.get(keyId)?.base64).toBe(unpaddedBase64(server.key.publicKey));
  });

  test("is asked once about all that do not answer", async () => {
    const servers = await Promise.all([1, 2, 3].map(async () => await publisher()));
    for (const it of servers) it.status = 500;
    const notary = await publisher("notary.test");
    notary.status = 404;
    const reader = await trusting(notary.name);
    const questions = servers.map((it) => ({ server: it.name, keyIds: ["ed25519:a"], validAt: 0 }));
    await verifyKeysOfMany(reader.hs, questions);
    expect(notary.asked).toBe(1);
    await verifyKeysOfMany(reader.hs, questions);
    expect(notary.asked).toBe(1);
  });

  test.each(["nobody", "the server alone", "the notary alone", "a stranger"])(
    "is not believed when what it tells is signed by %s",
    async (signer) => {
      const server = await publisher();
      server.status = 500;
      const notary = await publisher("notary.test");
      const [key, notaryKey] = [newKey(), newKey("n")];
      const bare = documentOf({ name: server.name, keys: [key] });
      const self = signJson(bare, server.name, key);
      const told = new Map<string, CanonicalObject>([
        ["nobody", bare],
        ["the server alone", self],
        ["the notary alone", signJson(bare, notary.name, notaryKey)],
        ["a stranger", signJson(self, notary.name, newKey("n"))],
      ]).get(signer);
      const reader = await trusting(notary.name);
      notary.says = signJson(
        documentOf({ name: notary.name, keys: [notaryKey] }),
        notary.name,
        notaryKey,
      );
      await verifyKeysOf(reader.hs, notary.name, [notaryKey.keyId], 0);
      notary.says = { server_keys: [told ?? {}] };
      expect((await verifyKeysOf(reader.hs, server.name, [key.keyId], 0)).size).toBe(0);
    },
  );

  test("signs what it shows, and leaves the server's signature", async () => {
    const server = await honest();
    const { keyId } = server.key;
    const query = { server_keys: { [server.name]: { [keyId]: {} }, "nobody.test:1": {} } };
    const { body } = await asking(hs2.hs)("POST", "/_matrix/key/v2/query", { body: query });
    expect(body.server_keys).toHaveLength(1);
    expect(body.server_keys[0]).toMatchObject(server.says);
    expect(Object.keys(body.server_keys[0].signatures[hs2.name])).toEqual([
      hs2.hs.signingKey.keyId,
    ]);
  });

  test("asks again when half of the time is over, or more is wanted", async () => {
    const server = await honest();
    let time = Date.now();
    const ask = asking({ ...hs2.hs, now: () => time });
    const path = `/_matrix/key/v2/query/${encodeURIComponent(server.name)}`;
    await ask("GET", path);
    time += 11 * 3_600_000;
    await ask("GET", path);
    expect(server.asked).toBe(1);
    time += 2 * 3_600_000;
    await ask("GET", path);
    expect(server.asked).toBe(2);
    time += 60_000;
    await ask("GET", `${path}?minimum_valid_until_ts=${time + 3 * DAY}`);
    expect(server.asked).toBe(3);
  });

  test("shows its own keys, and of nobody nothing", async () => {
    const ask = asking(hs2.hs);
    const own = await ask("GET", `/_matrix/key/v2/query/${encodeURIComponent(hs2.name)}`);
    expect(own.body.server_keys[0].server_name).toBe(hs2.name);
    const body = { server_keys: {} };
    expect((await ask("POST", "/_matrix/key/v2/query", { body })).body).toEqual({
      server_keys: [],
    });
  });

  test.each([
    [{}],
    [{ server_keys: [] }],
    [{ server_keys: { a: 5 } }],
    [{ server_keys: { a: { k: { minimum_valid_until_ts: "x" } } } }],
    [{ server_keys: Object.fromEntries(Array.from({ length: 300 }, (_, it) => [`a${it}`, {}])) }],
  ])("refuses what is no question", async (body) => {
    const { status } = await asking(hs2.hs)("POST", "/_matrix/key/v2/query", { body });
    expect(status).toBe(400);
  });

  test("refuses a time that is none", async () => {
    const path = "/_matrix/key/v2/query/a.test?minimum_valid_until_ts=tomorrow";
    expect((await asking(hs2.hs)("GET", path)).status).toBe(400);
  });
});

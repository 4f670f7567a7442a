import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Remotes } from "#src/homeserver/remotes.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { type SigningKey, signJson } from "#src/kit/signed-json.ts";
import { type FederatedHomeserver, testFederation } from "../testing.ts";
import { fetchKeys } from "./fetch-keys.ts";
import { forgetUnusedKeys } from "./job-forget-unused-keys.ts";
import { DAY, documentOf, honest, newKey, publisher } from "./testing.ts";
import { verifyKeysOf, verifyKeysOfMany } from "./verify-keys.ts";

const federation = await testFederation();
let hs1: FederatedHomeserver;
beforeAll(async () => {
  hs1 = await federation.open({ host: "hs1.test", processes: 2 });
});
afterAll(async () => await federation.close());

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

describe("another server's keys", () => {
  test("are asked for once, by however many at once, and kept for other processes", async () => {
    const server = await honest(federation);
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
    const server = await honest(federation);
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
    const servers = await Promise.all([1, 2, 3].map(async () => await honest(federation)));
    const found = await verifyKeysOfMany(
      hs1.hs,
      servers.map((it) => ({ server: it.name, keyIds: [it.key.keyId], validAt: Date.now() })),
    );
    expect([...found.keys()].toSorted()).toEqual(servers.map((it) => it.name).toSorted());
  });

  test("are not asked for time and again when there are none", async () => {
    const server = await honest(federation);
    for (const version of ["a", "b", "c", "d"]) {
      expect((await verifyKeysOf(hs1.hs, server.name, [`ed25519:${version}`], 0)).size).toBe(0);
    }
    expect(server.asked).toBe(1);
    const down = await publisher(federation);
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

  test("are there though events of very many servers came together that do not answer", async () => {
    const { hs, asked, release } = hanging();
    const questions = Array.from({ length: 12_000 }, (_, n) => ({
      server: `sender${n}.test` as ServerName,
      keyIds: ["ed25519:a"],
      validAt: 0,
    }));
    const asking = verifyKeysOfMany(hs, questions);
    await expect.poll(() => asked.length, { timeout: 15_000 }).toBeGreaterThan(50);
    const waiting = verifyKeysOf(hs, "real.test" as ServerName, ["ed25519:a"], 0);
    await expect.poll(() => asked, { timeout: 15_000 }).toContain("real.test");
    release();
    await Promise.all([asking, waiting]);
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
    const server = await honest(federation);
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
    const server = await publisher(federation);
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
    const server = await publisher(federation);
    const key = newKey();
    server.says = say({ name: server.name, key });
    expect((await verifyKeysOf(hs1.hs, server.name, [key.keyId], 0)).size).toBe(0);
    expect(await hs1.hs.sql`select 1 from server_keys where server_name = ${server.name}`).toEqual(
      [],
    );
  });

  test("that were once valid are not replaced by what is not its server's word", async () => {
    const server = await honest(federation);
    let time = Date.now();
    const hs = { ...hs1.hs, now: () => time };
    await verifyKeysOf(hs, server.name, [server.key.keyId], time);
    server.says = documentOf({ name: server.name, keys: [newKey()] });
    time += 2 * DAY;
    const found = await verifyKeysOf(hs, server.name, [server.key.keyId], time);
    expect(found.get(server.key.keyId)?.base64).toBe(unpaddedBase64(server.key.publicKey));
  });

  test("go a year after their last use", async () => {
    const server = await honest(federation);
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

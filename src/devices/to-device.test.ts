import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { tailOf } from "#src/streams/tail.ts";
import { testHomeservers, testUser } from "#src/testing.ts";
import { createDevice } from "./create-device.ts";
import { deleteDevices } from "./delete-devices.ts";
import { expireToDeviceTransactions } from "./job-expire-transactions.ts";
import { sendToDevice } from "./send-to-device.ts";
import { acknowledgeToDevice, readQueue } from "./to-device-queue.ts";

const homeservers = await testHomeservers(2);
const [one, two] = homeservers.all as [Homeserver, Homeserver];
afterAll(async () => await homeservers.close());

async function device(localpart: string, deviceId = "DEVICE") {
  const user = await testUser(one, localpart);
  return { ...user, ...(await createDevice(one, user, { deviceId })) };
}

async function queueOf(deviceKey: number): Promise<unknown[]> {
  const rows = await one.sql<{ content: string }[]>`
    select content from to_device where device_key = ${deviceKey} order by position, part`;
  return rows.map((it) => (JSON.parse(it.content) as { n: unknown }).n);
}

test("a message for all devices, one for some, and those that nobody can get", async () => {
  const alice = await device("alice", "A");
  const other = await device("alice", "B");
  const bob = await device("bob");
  await sendToDevice(one, bob, {
    type: "m.test",
    messages: {
      [alice.userId]: { "*": { n: "all" }, B: { n: "B" }, GONE: { n: "lost" } },
      "@nobody:test": { "*": { n: "lost" } },
      [bob.userId]: {},
    },
  });
  expect(await queueOf(alice.deviceKey)).toEqual(["all"]);
  expect(await queueOf(other.deviceKey)).toEqual(["all", "B"]);
  const range = { after: 0, upTo: tailOf(one).position };
  expect((await readQueue(one, alice.deviceKey, range)).events).toEqual([
    { sender: bob.userId, type: "m.test", content: { n: "all" } },
  ]);
});

test("a request that is repeated sends nothing, in whatever process, at the same time or later", async () => {
  const from = await device("repeater");
  const to = await device("repeated");
  const send = async (hs: Homeserver, txnId: string, type = "m.test") => {
    const messages = { [to.userId]: { DEVICE: { n: `${type} ${txnId}` } } };
    const transaction = { deviceKey: from.deviceKey, txnId };
    await sendToDevice(hs, from, { type, messages, transaction });
  };
  await Promise.all([one, two, one, two].map(async (hs) => await send(hs, "1")));
  await send(two, "1");
  await send(one, "1", "m.other");
  await send(one, "2");
  expect(await queueOf(to.deviceKey)).toEqual(["m.test 1", "m.other 1", "m.test 2"]);
});

test("nobody can send a device more than it can be given", async () => {
  const from = await device("talker");
  const to = await device("listener");
  const send = async (messages: Record<string, object>) =>
    await sendToDevice(one, from, { type: "m.test", messages: { [to.userId]: messages } });
  const tooLarge = expect.objectContaining({ errcode: "M_TOO_LARGE" });
  const small = { n: 1 };
  await expect(send({ A: small, DEVICE: { n: "x".repeat(65_536) } })).rejects.toEqual(tooLarge);
  const many = Array.from({ length: 10_001 }, (_, index) => [`D${index}`, small]);
  await expect(send({ ...Object.fromEntries(many), DEVICE: small })).rejects.toEqual(tooLarge);
  expect(await queueOf(to.deviceKey)).toEqual([]);
  await send({ DEVICE: { n: "x".repeat(65_000) } });
  expect(await queueOf(to.deviceKey)).toHaveLength(1);
});

test("transactions are forgotten after a day", async () => {
  const from = await device("forgetful");
  const transaction = { deviceKey: from.deviceKey, txnId: "1" };
  await sendToDevice(one, from, { type: "m.test", messages: {}, transaction });
  const count = async () => {
    const [row] = await one.sql<{ count: number }[]>`
      select count(*) from to_device_transactions where device_key = ${from.deviceKey}`;
    return row?.count;
  };
  const { signal } = new AbortController();
  await expireToDeviceTransactions.run(one, signal);
  expect(await count()).toBe(1);
  const tomorrow = { ...one, now: () => Date.now() + 25 * 60 * 60 * 1000 };
  await expireToDeviceTransactions.run(tomorrow, signal);
  expect(await count()).toBe(0);
});

test("thousands of messages in one request", async () => {
  const from = await device("sender");
  const to = await device("many", "D0");
  await one.sql`
    insert into devices (user_key, device_id)
    select ${to.userKey}, 'D' || n from generate_series(1, 2999) as n`;
  const contents = Array.from({ length: 3000 }, (_, n) => [`D${n}`, { n }] as const);
  const messages = { [to.userId]: Object.fromEntries(contents) };
  const before = tailOf(one).position;
  await sendToDevice(one, from, { type: "m.test", messages });
  const told = tailOf(one).between(before, tailOf(one).position) ?? [];
  expect(new Set(told.map((it) => it.deviceKey)).size).toBe(3000);
  expect(await queueOf(to.deviceKey)).toEqual([0]);
  expect(await deleteDevices(one, to, "all")).toBe(3000);
});

test("messages for another server are kept for it", async () => {
  const from = await device("far");
  await sendToDevice(one, from, {
    type: "m.test",
    messages: { "@a:remote": { "*": { n: 1 } }, "@b:remote": { X: { n: 2 } } },
  });
  const rows = await one.sql`
    select server_name, user_id, device_id, content from remote_to_device order by part`;
  expect(rows.map((it) => Object.values(it))).toEqual([
    ["remote", "@a:remote", "*", '{"n":1}'],
    ["remote", "@b:remote", "X", '{"n":2}'],
  ]);
});

/** What a client may do, and what may happen to it: answers get lost, and requests go to any process. */
type Step = { readonly send: number } | { readonly sync: "answered" | "lost"; readonly at: 0 | 1 };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ send: fc.integer({ min: 1, max: 130 }) }),
  fc.record({
    sync: fc.constantFrom("answered" as const, "lost" as const),
    at: fc.constantFrom(0 as const, 1 as const),
  }),
);

test("a client gets every message in order, whatever answers are lost, and what it has got is deleted", async () => {
  const from = await device("model");
  let count = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const to = await device(`modelled${count++}`);
      const got: unknown[] = [];
      let sent = 0;
      let since: { position: Position; cutAt?: Position } = { position: 0 };
      const sync = async (hs: Homeserver) => {
        await tailOf(hs).catchUp();
        const after = since.cutAt ?? since.position;
        if (after > 0) await acknowledgeToDevice(hs, to.deviceKey, after);
        const upTo = tailOf(hs).position;
        const { events, cutAt } = await readQueue(hs, to.deviceKey, { after, upTo });
        expect(events.length).toBeLessThanOrEqual(100);
        return { events, since: { position: upTo, ...(cutAt !== undefined && { cutAt }) } };
      };
      const receive = (answer: Awaited<ReturnType<typeof sync>>) => {
        got.push(...answer.events.map((it) => (it.content as { n: number }).n));
        ({ since } = answer);
      };
      for (const it of steps) {
        if ("send" in it) {
          const batch = Array.from({ length: it.send }, () => sent++);
          await Promise.all(
            batch.map(async (n) => {
              const messages = { [to.userId]: { DEVICE: { n } } };
              await sendToDevice(one, from, { type: "m.test", messages });
            }),
          );
        } else {
          const answer = await sync(it.at === 0 ? one : two);
          if (it.sync === "answered") receive(answer);
        }
      }
      while (got.length < sent) receive(await sync(one));
      expect(got).toEqual(Array.from({ length: sent }, (_, n) => n));
      await sync(two);
      expect(await queueOf(to.deviceKey)).toEqual([]);
    }),
    { numRuns: 12 },
  );
});

import { afterAll, expect, test } from "vitest";
import { asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";

const homeservers = await testHomeservers(2, LENIENT);
afterAll(async () => await homeservers.close());
const [ask, askOther] = homeservers.all.map((it) => asking(it)) as [
  ReturnType<typeof asking>,
  ReturnType<typeof asking>,
];

const ALGORITHM = "signed_curve25519";

async function logIn(localpart: string, deviceId: string) {
  const body = {
    type: "m.login.password",
    identifier: { type: "m.id.user", user: localpart },
    password: "secret",
    device_id: deviceId,
    initial_device_display_name: `Name of ${deviceId}`,
  };
  return (await ask("POST", "login", { body })).body;
}

test("devices are listed, renamed and deleted, the latter after a proof", async () => {
  const { user_id: userId, access_token: token } = await registered(ask, "alice", {
    device_id: "ONE",
  });
  const two = await logIn("alice", "TWO");
  const names = async () => {
    const { devices } = (await ask("GET", "devices", { token })).body;
    return devices.map((it) => [it.device_id, it.display_name]);
  };
  expect(await names()).toEqual([
    ["ONE", undefined],
    ["TWO", "Name of TWO"],
  ]);
  const renamed = { token, body: { display_name: "Phone" } };
  expect((await ask("PUT", "devices/ONE", renamed)).status).toBe(200);
  expect((await ask("GET", "devices/ONE", { token })).body).toMatchObject({
    display_name: "Phone",
  });
  expect((await ask("PUT", "devices/ONE", { token, body: {} })).status).toBe(200);
  expect((await ask("PUT", "devices/GONE", renamed)).body.errcode).toBe("M_NOT_FOUND");
  expect((await ask("GET", "devices/GONE", { token })).body.errcode).toBe("M_NOT_FOUND");
  const long = { token, body: { display_name: "x".repeat(101) } };
  expect((await ask("PUT", "devices/ONE", long)).body.errcode).toBe("M_INVALID_PARAM");

  const asked = await ask("DELETE", "devices/TWO", { token });
  expect(asked.status).toBe(401);
  const { session } = asked.body;
  const identifier = { type: "m.id.user", user: userId };
  const auth = { type: "m.login.password", identifier, password: "secret", session };
  expect((await ask("DELETE", "devices/TWO", { token, body: { auth } })).status).toBe(200);
  expect((await ask("GET", "account/whoami", { token: two.access_token })).status).toBe(401);
  await expect
    .poll(async () => (await askOther("GET", "account/whoami", { token: two.access_token })).status)
    .toBe(401);
  expect(await names()).toEqual([["ONE", "Phone"]]);
});

test("a long queue is told a hundred at a time, and what was not told is kept", async () => {
  const { access_token: sender } = await registered(ask, "sender");
  const {
    user_id: userId,
    device_id: deviceId,
    access_token: token,
  } = await registered(ask, "queue");
  for (let n = 0; n < 230; n++) {
    const body = { messages: { [userId]: { [deviceId]: { n } } } };
    expect((await ask("PUT", `sendToDevice/m.test/${n}`, { token: sender, body })).status).toBe(
      200,
    );
  }
  const sync = async (since?: string) => {
    const path = since === undefined ? "sync" : `sync?timeout=0&since=${since}`;
    const { body } = await ask("GET", path, { token });
    const events = body.to_device?.events ?? [];
    return { next: body.next_batch, numbers: events.map((it) => Number(it.content["n"])) };
  };
  const numbers = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, n) => from + n);
  const first = await sync();
  expect(first.numbers).toEqual(numbers(0, 100));
  expect((await sync()).numbers).toEqual(numbers(0, 100));
  const second = await sync(first.next);
  expect(second.numbers).toEqual(numbers(100, 200));
  expect((await sync(first.next)).numbers).toEqual(numbers(100, 200));
  const third = await sync(second.next);
  expect(third.numbers).toEqual(numbers(200, 230));
  expect((await sync(third.next)).numbers).toEqual([]);
  expect((await sync()).numbers).toEqual([]);
  // Such a token is good for whatever else takes tokens of syncs.
  const changes = `keys/changes?from=${first.next}&to=${third.next}`;
  expect((await ask("GET", changes, { token })).body).toEqual({ changed: [], left: [] });
});

test("who waits is woken by a message, by a claimed key and by another's device", async () => {
  const alice = await registered(ask, "waiting");
  const bob = await registered(ask, "waking");
  const keys = { [`${ALGORITHM}:A`]: { key: "abc", signatures: {} } };
  const upload = { token: alice.access_token, body: { one_time_keys: keys } };
  expect((await ask("POST", "keys/upload", upload)).body.one_time_key_counts).toEqual({
    [ALGORITHM]: 1,
  });
  const { room_id: roomId } = (
    await ask("POST", "createRoom", { token: alice.access_token, body: { preset: "public_chat" } })
  ).body;
  await ask("POST", `join/${roomId}`, { token: bob.access_token, body: {} });

  // That she is there would be news as well.
  const sync = "sync?set_presence=offline";
  let { body: last } = await ask("GET", sync, { token: alice.access_token });
  expect(last.device_one_time_keys_count).toEqual({ [ALGORITHM]: 1 });
  expect(last.device_unused_fallback_key_types).toEqual([]);
  const meanwhile = async (act: () => Promise<unknown>) => {
    const path = `${sync}&timeout=10000&since=${last.next_batch}`;
    const [answer] = await Promise.all([
      ask("GET", path, { token: alice.access_token }),
      new Promise((resolve) => setTimeout(resolve, 50)).then(act),
    ]);
    last = answer.body;
  };
  const begun = Date.now();
  const token = bob.access_token;
  await meanwhile(async () => {
    const body = { messages: { [alice.user_id]: { "*": { hello: 1 } } } };
    await askOther("PUT", "sendToDevice/m.test/1", { token, body });
  });
  expect(last.to_device?.events).toEqual([
    { sender: bob.user_id, type: "m.test", content: { hello: 1 } },
  ]);
  await meanwhile(async () => {
    const body = { one_time_keys: { [alice.user_id]: { [alice.device_id]: ALGORITHM } } };
    await askOther("POST", "keys/claim", { token, body });
  });
  expect(last.device_one_time_keys_count).toEqual({ [ALGORITHM]: 0 });
  await meanwhile(async () => await logIn("waking", "NEW"));
  expect(last.device_lists).toEqual({ changed: [bob.user_id], left: [] });
  expect(Date.now() - begun).toBeLessThan(8_000);
});

test("what is no request of these is refused with the right error", async () => {
  const { user_id: userId, access_token: token } = await registered(ask, "fuzz");
  const refusals = [
    ["POST", "keys/query", { device_keys: { nobody: [] } }, 400, "M_INVALID_PARAM"],
    ["POST", "keys/query", {}, 400, "M_BAD_JSON"],
    ["POST", "keys/query", { device_keys: { [userId]: [1] } }, 400, "M_BAD_JSON"],
    ["POST", "keys/claim", { one_time_keys: { "@a:b": "x" } }, 400, "M_BAD_JSON"],
    ["POST", "keys/upload", { one_time_keys: { nocolon: "x" } }, 400, "M_INVALID_PARAM"],
    ["POST", "keys/upload", { one_time_keys: { "a:\0": "x" } }, 400, "M_INVALID_PARAM"],
    ["POST", "keys/upload", { one_time_keys: { "a:b": { key: "x", f: 1.5 } } }, 400, "M_BAD_JSON"],
    ["PUT", "sendToDevice/m.test/1", {}, 400, "M_BAD_JSON"],
    ["PUT", "sendToDevice/m.test/1", { messages: { x: {} } }, 400, "M_INVALID_PARAM"],
    [
      "PUT",
      "sendToDevice/m.test/1",
      { messages: { [userId]: { "*": "text" } } },
      400,
      "M_BAD_JSON",
    ],
    ["GET", "keys/changes?from=s1", undefined, 400, "M_MISSING_PARAM"],
    ["GET", "keys/changes?from=x&to=s1", undefined, 400, "M_INVALID_PARAM"],
    ["POST", "keys/signatures/upload", { x: {} }, 400, "M_INVALID_PARAM"],
    ["POST", "delete_devices", { devices: "all" }, 400, "M_BAD_JSON"],
    ["GET", "devices/%00", undefined, 400, "M_INVALID_PARAM"],
  ] as const;
  for (const [method, path, body, status, errcode] of refusals) {
    const answer = await ask(method, path, { token, ...(body && { body }) });
    expect([path, answer.status, answer.body.errcode]).toEqual([path, status, errcode]);
  }
  const nul = { token, body: { messages: { [userId]: { "*": { text: "\0" } } } } };
  expect((await ask("PUT", "sendToDevice/m.test/2", nul)).status).toBe(200);
  const remote = { token, body: { device_keys: { "@a:elsewhere": [] } } };
  expect((await ask("POST", "keys/query", remote)).body.failures).toHaveProperty("elsewhere");
});

import { describe, expect, test } from "vitest";
import { present } from "../answers.ts";
import { homeserver, refusal, type TestUser } from "./client.ts";

// What MSC4140 adds, at https://github.com/matrix-org/matrix-spec-proposals/pull/4140.
const hs = await homeserver();
const BASE = "/unstable/org.matrix.msc4140";
const LATER_MS = 600_000;

/** What is told of an event that is to be sent, or was. */
type Delayed = {
  readonly delay_id: string;
  readonly content: object;
  readonly scheduled_at: number;
  readonly finalised_ts: number;
  readonly event_id: string;
  readonly error?: { readonly errcode: string };
};

let transactions = 0;
const delay = async (
  by: TestUser,
  roomId: string,
  delayMs: number | string,
  content: object = {},
) =>
  await by.call(
    "PUT",
    `/v3/rooms/${roomId}/send/org.example/${++transactions}?org.matrix.msc4140.delay=${delayMs}`,
    content,
  );
const manage = async (delayId: string, action: string) =>
  await hs.request("POST", `${BASE}/delayed_events/${delayId}/${action}`, { body: {} });
const waiting = async (of: TestUser) =>
  (await of.call<{ delayed_events: readonly Delayed[] }>("GET", `${BASE}/delayed_events`)).body
    .delayed_events;
const detailsOf = async (of: TestUser, delayId: string) =>
  await of.call<Delayed>("GET", `${BASE}/delayed_events/${delayId}`);
const sent = async (by: TestUser, delayId: string) =>
  await expect
    .poll(async () => (await detailsOf(by, delayId)).body.event_id, { timeout: 15_000 })
    .toMatch(/^\$/)
    .then(async () => (await detailsOf(by, delayId)).body);

async function roomOf(name: string) {
  const user = await hs.registerUser(name);
  return { user, roomId: await user.createRoom({ preset: "public_chat" }) };
}

describe("scheduleDelayedEvent", () => {
  test("sends an event when its time has come, and tells its sender which it was", async () => {
    const { user, roomId } = await roomOf("alice");
    const begun = Date.now();
    const { body } = await delay(user, roomId, 300, { n: 1 });
    expect(body).toEqual({ delay_id: expect.stringMatching(/^[\w-]{32}$/) });
    const { event_id, finalised_ts } = await sent(user, body.delay_id);
    expect(finalised_ts - begun).toBeGreaterThanOrEqual(300);
    const event = (await user.call("GET", `/v3/rooms/${roomId}/event/${event_id}`)).body;
    expect(event).toMatchObject({ type: "org.example", content: { n: 1 }, sender: user.userId });
    expect(event.unsigned["org.matrix.msc4140.delay_id"]).toBe(body.delay_id);
    expect(event.unsigned.transaction_id).toBeUndefined();

    const other = await hs.registerUser("bob");
    await other.call("POST", `/v3/join/${roomId}`, {});
    const theirs = (await other.call("GET", `/v3/rooms/${roomId}/event/${event_id}`)).body;
    expect(theirs.unsigned["org.matrix.msc4140.delay_id"]).toBeUndefined();
  });

  test("sets state, by the path for state and by the proposal's own", async () => {
    const { user, roomId } = await roomOf("alice");
    const state = `/v3/rooms/${roomId}/state/org.example`;
    const first = await user.call("PUT", `${state}/a?org.matrix.msc4140.delay=100`, { n: 1 });
    const path = `${BASE}/rooms/${roomId}/delayed_event/org.example/once`;
    const body = { delay_ms: 100, state_key: "b", content: { n: 2 } };
    const second = await user.call("PUT", path, body);
    for (const { body: it } of [first, second]) await sent(user, it.delay_id);
    expect((await user.call("GET", `${state}/a`)).body).toEqual({ n: 1 });
    expect((await user.call("GET", `${state}/b`)).body).toEqual({ n: 2 });
  });

  test("takes the same request for the same event", async () => {
    const { user, roomId } = await roomOf("alice");
    const path = `/v3/rooms/${roomId}/send/org.example/same?org.matrix.msc4140.delay=${LATER_MS}`;
    const first = await user.call("PUT", path, { n: 1 });
    expect((await user.call("PUT", path, { n: 1 })).body).toEqual(first.body);
    expect(await waiting(user)).toHaveLength(1);
  });

  test.each(["0", "-1", "soon", "1.5", ""])("refuses the delay %o", async (delayMs) => {
    const { user, roomId } = await roomOf("alice");
    expect(await delay(user, roomId, delayMs)).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });

  test("refuses what is too far away, and says how far is not", async () => {
    const { user, roomId } = await roomOf("alice");
    const { body } = await user.call("GET", "/v3/capabilities");
    const most = body.capabilities["org.matrix.msc4140.delayed_events"]?.["max_delay_ms"];
    const answer = await delay(user, roomId, Number(most) + 1);
    expect(answer).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(answer.body["org.matrix.msc4140.max_delay"]).toBe(most);
  });

  test("asks whether the user may when the time has come, and says why not", async () => {
    const { roomId } = await roomOf("alice");
    const outsider = await hs.registerUser("mallory");
    const { body } = await delay(outsider, roomId, 100);
    await expect
      .poll(async () => (await detailsOf(outsider, body.delay_id)).body.error?.errcode)
      .toBe("M_FORBIDDEN");
    expect((await detailsOf(outsider, body.delay_id)).body.event_id).toBeUndefined();
  });
});

describe("manageDelayedEvent", () => {
  test("cancels an event, whoever asks that knows its ID, and as often as they like", async () => {
    const { user, roomId } = await roomOf("alice");
    const { delay_id } = (await delay(user, roomId, LATER_MS)).body;
    expect(await manage(delay_id, "cancel")).toMatchObject({ status: 200, body: {} });
    expect(await manage(delay_id, "cancel")).toMatchObject({ status: 200 });
    expect(await waiting(user)).toEqual([]);
    for (const action of ["send", "restart"]) {
      expect(await manage(delay_id, action)).toMatchObject(refusal(409, "M_UNKNOWN"));
    }
  });

  test("sends an event at once", async () => {
    const { user, roomId } = await roomOf("alice");
    const { delay_id } = (await delay(user, roomId, LATER_MS)).body;
    expect(await manage(delay_id, "send")).toMatchObject({ status: 200, body: {} });
    expect(await manage(delay_id, "send")).toMatchObject({ status: 200 });
    expect(await manage(delay_id, "cancel")).toMatchObject(refusal(409, "M_UNKNOWN"));
    const { event_id } = (await detailsOf(user, delay_id)).body;
    expect((await user.call("GET", `/v3/rooms/${roomId}/event/${event_id}`)).status).toBe(200);
  });

  test("keeps an event that cannot be sent yet", async () => {
    const { roomId } = await roomOf("alice");
    const outsider = await hs.registerUser("mallory");
    const { delay_id } = (await delay(outsider, roomId, LATER_MS)).body;
    expect(await manage(delay_id, "send")).toMatchObject(refusal(403, "M_FORBIDDEN"));
    await outsider.call("POST", `/v3/join/${roomId}`, {});
    expect(await manage(delay_id, "send")).toMatchObject({ status: 200 });
  });

  test("lets the time begin anew", async () => {
    const { user, roomId } = await roomOf("alice");
    const { delay_id } = (await delay(user, roomId, 3_000)).body;
    const before = present((await waiting(user))[0]);
    await expect.poll(() => Date.now()).toBeGreaterThan(before.scheduled_at + 50);
    expect(await manage(delay_id, "restart")).toMatchObject({ status: 200 });
    const { finalised_ts } = await sent(user, delay_id);
    expect(finalised_ts).toBeGreaterThanOrEqual(before.scheduled_at + 3_050);
  });

  test("is asked in the body as well", async () => {
    const { user, roomId } = await roomOf("alice");
    const { delay_id } = (await delay(user, roomId, LATER_MS)).body;
    const path = `${BASE}/delayed_events/${delay_id}`;
    expect((await hs.request("POST", path, { body: { action: "cancel" } })).status).toBe(200);
    expect(await hs.request("POST", path, { body: {} })).toMatchObject(
      refusal(400, "M_INVALID_PARAM"),
    );
  });

  test("knows no other action, and no other ID", async () => {
    expect(await manage("unknown", "explode")).toMatchObject(refusal(404, "M_UNRECOGNIZED"));
    for (const action of ["send", "cancel", "restart"]) {
      expect(await manage("unknown", action)).toMatchObject(refusal(404, "M_NOT_FOUND"));
    }
  });
});

describe("getDelayedEvents", () => {
  test("tells users of their own that wait, the next first", async () => {
    const { user, roomId } = await roomOf("alice");
    await delay(user, roomId, 2 * LATER_MS, { n: 2 });
    await delay(user, roomId, LATER_MS, { n: 1 });
    const all = await waiting(user);
    expect(all.map((it) => it.content)).toEqual([{ n: 1 }, { n: 2 }]);
    expect(all[0]).toEqual({
      delay_id: expect.any(String),
      room_id: roomId,
      type: "org.example",
      content: { n: 1 },
      delay_ms: LATER_MS,
      delay: LATER_MS,
      scheduled_at: expect.any(Number),
      running_since: expect.any(Number),
    });
    expect(await waiting(await hs.registerUser("bob"))).toEqual([]);
  });
});

describe("getDelayedEvent", () => {
  test("tells of one, and nobody but its user", async () => {
    const { user, roomId } = await roomOf("alice");
    const { delay_id } = (await delay(user, roomId, LATER_MS, { n: 1 })).body;
    const { body } = await detailsOf(user, delay_id);
    expect(body).toMatchObject({ delay_id, room_id: roomId, content: { n: 1 } });
    expect(body.finalised_ts).toBeUndefined();
    const other = await hs.registerUser("bob");
    expect(await detailsOf(other, delay_id)).toMatchObject(refusal(404, "M_NOT_FOUND"));
  });

  test("has those that have ended, by the name that the Dart SDK asks for", async () => {
    const { user, roomId } = await roomOf("alice");
    const { delay_id } = (await delay(user, roomId, LATER_MS)).body;
    await manage(delay_id, "send");
    const { body } = await user.call("GET", `${BASE}/delayed_events/finalised`);
    expect(body.finalised_events).toMatchObject([
      { outcome: "send", reason: "action", delayed_event: { delay_id } },
    ]);
  });
});

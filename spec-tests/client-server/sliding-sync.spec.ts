import { describe, expect, test } from "vitest";
import type { SlidingAnswer } from "../answers.ts";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const roomId = await alice.createRoom({ name: "Room" });
const unknownPos = refusal(400, "M_UNKNOWN_POS");

/** MSC4186. */
describe("slidingSyncDeployed", () => {
  const path = "/unstable/org.matrix.simplified_msc3575/sync";
  const lists = {
    all: { ranges: [[0, 19]], timeline_limit: 1, required_state: [["m.room.name", ""]] },
  };

  test('is announced, tells of rooms, and goes on: "slidingSyncDeployed"', async () => {
    const { body: versions } = await hs.request("GET", "/versions");
    expect(versions.unstable_features["org.matrix.simplified_msc3575"]).toBe(true);
    const first = await alice.call<SlidingAnswer>("POST", path, { lists });
    expect(first.body).toMatchObject({ lists: { all: { count: 1 } } });
    expect(first.body.rooms[roomId]).toMatchObject({ name: "Room", initial: true });
    const eventId = await alice.sendText(roomId, "hello");
    const on = `${path}?pos=${first.body.pos}&timeout=10000`;
    const next = await alice.call<SlidingAnswer>("POST", on, { lists });
    expect(next.body.rooms[roomId]?.timeline?.map((it) => it.event_id)).toEqual([eventId]);
    expect(await alice.call("POST", `${path}?pos=s1~0`, { lists })).toMatchObject(unknownPos);
  });
});

/** MSC4186. */
describe("slidingSync", () => {
  test('tells of rooms, and goes on, in the form that was accepted: "slidingSync"', async () => {
    const required_state = { include: [{ type: "m.room.name", state_key: "" }] };
    const body = { lists: { all: { range: [0, 19], timeline_limit: 1, required_state } } };
    const first = await alice.call<SlidingAnswer>("POST", "/v4/sync", body);
    expect(first.body.rooms[roomId]).toMatchObject({ membership: "join", lists: ["all"] });
    const next = { ...body, pos: first.body.pos, timeout: 200 };
    expect((await alice.call("POST", "/v4/sync", next)).body.rooms).toEqual({});
    expect(await alice.call("POST", "/v4/sync", { ...body, pos: "x" })).toMatchObject(unknownPos);
  });
});

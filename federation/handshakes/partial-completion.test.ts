import { afterAll, describe, expect, test } from "vitest";
import type { EventId } from "#src/kit/identifiers.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { finishingEnds, finishSoon } from "#src/rooms/partial/finish-partial-room.ts";
import { fetchMembers } from "#src/rooms/partial/job-fetch-members.ts";
import { openPartialStage } from "./testing-partial.ts";
import { stateIds } from "./testing.ts";

const stage = await openPartialStage();
const { one, two, onOne, onTwo, alice, bob, carol, joinPartially, say } = stage;
afterAll(async () => await stage.federation.close());

const E = encodeURIComponent;

describe("a room of which the members are not known yet", () => {
  test("is completed by another process, if the first does not come to an end", async () => {
    const roomId = await joinPartially();
    const first = stage.gate;
    stage.gate = undefined;
    await expect
      .poll(async () => {
        // As if its lease had ended.
        await two.hs.sql`update partial_rooms set due_ms = 0`;
        await fetchMembers.run(two.all[1] ?? two.hs, new AbortController().signal);
        return await two.hs.sql`select from partial_rooms`;
      })
      .toHaveLength(0);
    // The first process hears of it.
    const state = await stateIds(one, roomId);
    await expect.poll(async () => await stateIds(two, roomId)).toEqual(state);
    first?.resolve();
  });

  test("is left to others at once by a process that ends", async () => {
    const roomId = await joinPartially();
    const room = await findRoom(two.hs, roomId);
    if (!room) throw new Error("the room is not here");
    // Whoever was at it first has given up.
    stage.gate?.promise.catch(() => {});
    stage.gate?.reject(new Error("no answer"));
    const givenUp = async () => await two.hs.sql`select from partial_rooms where failures > 0`;
    await expect.poll(givenUp).toHaveLength(1);
    stage.gate = Promise.withResolvers();
    await two.hs.sql`update partial_rooms set due_ms = 0, failures = 0`;
    const ending = new AbortController();
    const process = { ...two.hs, stopping: ending.signal };
    finishSoon(process, room);
    const now = two.hs.now();
    const taken = async () => await two.hs.sql`select from partial_rooms where due_ms > ${now}`;
    await expect.poll(taken).toHaveLength(1);
    const ended = finishingEnds(process);
    ending.abort();
    await ended;
    const rows = await two.hs.sql<{ failures: number; due_ms: number }[]>`
      select failures, due_ms from partial_rooms`;
    expect(rows).toMatchObject([{ failures: 0 }]);
    expect(rows[0]?.due_ms).toBeLessThanOrEqual(two.hs.now());
    stage.gate.resolve();
    await fetchMembers.run(two.all[1] ?? two.hs, new AbortController().signal);
    expect(await two.hs.sql`select from partial_rooms`).toHaveLength(0);
  });

  test("is told to other servers when it is whole, and not before", async () => {
    const roomId = await joinPartially();
    const eventId = (await say(onTwo, bob, roomId, "stated")) as EventId;
    const question = { roomId, eventId };
    const asked = one.hs.remotes.getRoomStateIds(two.name, question);
    setTimeout(() => stage.gate?.resolve(), 300);
    const answer = await asked;
    const state = await stateIds(one, roomId);
    expect(answer.ok && answer.body.pdu_ids.toSorted()).toEqual(state.toSorted());
  });

  test("lets users of other servers in when they are", async () => {
    const roomId = await joinPartially();
    const question = { roomId, userId: carol.userId, versions: ["12"] };
    const asked = one.hs.remotes.makeJoin(two.name, question);
    const other = `@nobody:${one.name}` as const;
    const left = one.hs.remotes.makeLeave(two.name, { roomId, userId: other });
    setTimeout(() => stage.gate?.resolve(), 300);
    expect(await asked).toMatchObject({ ok: true, body: { event: { sender: carol.userId } } });
    expect(await left).toMatchObject({ ok: false, status: 403 });
  });

  test("is told what we say also when we come to it again", async () => {
    const roomId = await joinPartially();
    stage.gate?.resolve();
    const members = async () =>
      (await onTwo("GET", `rooms/${E(roomId)}/members`, { token: bob.token })).body.chunk;
    expect(await members()).toHaveLength(3);
    await onTwo("POST", `rooms/${E(roomId)}/leave`, { token: bob.token, body: {} });
    stage.gate = Promise.withResolvers();
    const again = `join/${E(roomId)}?via=${E(one.name)}`;
    expect((await onTwo("POST", again, { token: bob.token, body: {} })).status).toBe(200);
    const said = await say(onTwo, bob, roomId, "back");
    await expect
      .poll(async () => (await onOne("GET", `rooms/${E(roomId)}/event/${said}`, alice)).status)
      .toBe(200);
    stage.gate.resolve();
  });

  test("can be left, and is then no longer of interest", async () => {
    const roomId = await joinPartially();
    const left = await onTwo("POST", `rooms/${E(roomId)}/leave`, { token: bob.token, body: {} });
    expect(left.status).toBe(200);
    await expect
      .poll(async () => {
        await two.hs.sql`update partial_rooms set due_ms = 0`;
        await fetchMembers.run(two.hs, new AbortController().signal);
        return await two.hs.sql`select from partial_rooms`;
      })
      .toHaveLength(0);
    stage.gate?.resolve();
    const again = `join/${E(roomId)}?via=${E(one.name)}`;
    expect((await onTwo("POST", again, { token: bob.token, body: {} })).status).toBe(200);
    const state = await stateIds(one, roomId);
    await expect.poll(async () => await stateIds(two, roomId)).toEqual(state);
  });
});

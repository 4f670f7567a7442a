import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { memberDraft, message } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { findEvents } from "#src/rooms/find-event.ts";
import { EventStatus } from "#src/rooms/stored-event.ts";
import { testFederation } from "../testing.ts";
import { type Peer, sharedRoom, type SharedRoom, testPeer } from "./testing.ts";

const federation = await testFederation();
let hs: Homeserver;
let other: Homeserver;
let peer: Peer;

beforeAll(async () => {
  const opened = await federation.open({ processes: 2 });
  [hs, other] = opened.all as [Homeserver, Homeserver];
  peer = await testPeer(federation);
});
afterAll(async () => await federation.close());

/** The messages of a room, in its order. */
async function shown(roomKey: number): Promise<string[]> {
  const rows = await hs.sql<{ event_id: string }[]>`
    select event_id from events where room_key = ${roomKey} and status = ${EventStatus.accepted}
      and type = 'm.room.message'
    order by anchor, anchor_offset`;
  return rows.map((it) => it.event_id);
}

describe("a transaction", () => {
  test.each(["1", "6", "12"])("brings events of rooms of version %s", async (version) => {
    const { remote, room, joined, wire } = await sharedRoom(hs, peer, { version });
    const creator = peer.user("creator");
    const first = remote.add(creator, message("1"), [joined]);
    const second = remote.add(creator, message("2"), [first]);
    const { status, body } = await peer.send(hs, [wire(first), wire(second)]);
    expect({ status, body }).toEqual({
      status: 200,
      body: { pdus: { [first]: {}, [second]: {} } },
    });
    expect(await shown(room.roomKey)).toEqual([first, second]);
  });

  test("keeps the order of a room, and takes in many rooms at once", async () => {
    const shared: SharedRoom[] = [];
    for (let count = 0; count < 4; count++) shared.push(await sharedRoom(hs, peer));
    const its = shared.map(({ remote, joined }) => {
      let last = joined;
      return Array.from({ length: 10 }, (_, index) => {
        last = remote.add(peer.user("creator"), message(`${index}`), [last]);
        return last;
      });
    });
    const mixed = Array.from({ length: 10 }, (_, index) =>
      shared.map(({ wire }, room) => wire(its[room]?.[index] ?? "$")),
    ).flat();
    const { body } = await peer.send(hs, mixed);
    expect(Object.keys(body.pdus).toSorted()).toEqual(its.flat().toSorted());
    for (const [index, { room }] of shared.entries()) {
      expect(await shown(room.roomKey)).toEqual(its[index]);
    }
  });

  test("that told of more than events gets the same answer again, whichever process is asked", async () => {
    const { remote, room, joined, wire } = await sharedRoom(hs, peer);
    const id = remote.add(peer.user("creator"), message("once"), [joined]);
    const unsigned = { ...wire(id), signatures: {} };
    const edus = [{ edu_type: "org.example.note", content: {} }];
    const first = await peer.send(hs, [unsigned], "again", edus);
    expect(first.body.pdus[id]?.error).toContain("not signed");
    const stored = async () =>
      await hs.sql`select from received_transactions where txn_id = 'again'`;
    await vi.waitFor(async () => expect(await stored()).toHaveLength(1), { timeout: 20_000 });
    // Under the same ID even what could be taken in now is not looked at.
    for (const it of [hs, other]) {
      expect(await peer.send(it, [wire(id)], "again", edus)).toEqual(first);
    }
    expect(await shown(room.roomKey)).toEqual([]);
    await peer.send(other, [wire(id)]);
    expect(await shown(room.roomKey)).toEqual([id]);
  });

  test("of events alone does nothing again, whichever process is asked", async () => {
    const { remote, room, joined, wire } = await sharedRoom(hs, peer);
    const id = remote.add(peer.user("creator"), message("once"), [joined]);
    const unsigned = remote.add(peer.user("creator"), message("unsigned"), [id]);
    const pdus = [wire(id), { ...wire(unsigned), signatures: {} }];
    const first = await peer.send(hs, pdus, "events");
    expect(first.body.pdus[id]).toEqual({});
    expect(first.body.pdus[unsigned]?.error).toContain("not signed");
    for (const it of [hs, other]) expect(await peer.send(it, pdus, "events")).toEqual(first);
    expect(await shown(room.roomKey)).toEqual([id]);
  });

  test("that is sent again before it was answered is taken in once", async () => {
    const { remote, joined, wire } = await sharedRoom(hs, peer);
    const id = remote.add(peer.user("creator"), message("once"), [joined]);
    const answers = await Promise.all(
      Array.from({ length: 5 }, async () => await peer.send(hs, [wire(id)], "at-once")),
    );
    expect(answers).toEqual(answers.map(() => ({ status: 200, body: { pdus: { [id]: {} } } })));
  });

  test("waits for those before it, and is refused if too many do", async () => {
    const { remote, joined, wire } = await sharedRoom(hs, peer);
    const lost = remote.add(peer.user("creator"), message("lost"), [joined]);
    const id = remote.add(peer.user("creator"), message("hello"), [lost]);
    const { promise, resolve } = Promise.withResolvers<undefined>();
    peer.answer(async () => await promise);
    const slow = Array.from({ length: 3 }, async (_, index) => {
      return await peer.send(hs, [wire(id)], `slow${index}`);
    });
    await vi.waitFor(() => expect(peer.asked.length).toBeGreaterThan(0), { timeout: 20_000 });
    const refused = await peer.send(hs, [], "too-many");
    expect(refused).toMatchObject({
      status: 429,
      body: { errcode: "M_LIMIT_EXCEEDED", retry_after_ms: expect.any(Number) },
    });
    resolve(undefined);
    peer.answer(() => undefined);
    expect((await Promise.all(slow)).map((it) => it.status)).toEqual([200, 200, 200]);
    expect((await peer.send(hs, [], "too-many")).status).toBe(200);
  });

  test("may lack what is empty, and may not have more than there may be", async () => {
    const uri = "/_matrix/federation/v1/send/";
    expect(await peer.ask(hs, "PUT", `${uri}empty`, { pdus: null })).toEqual({
      status: 200,
      body: { pdus: {} },
    });
    for (const id of ["x".repeat(600), "%00"]) {
      expect(await peer.ask(hs, "PUT", uri + id, { pdus: [] })).toMatchObject({
        status: 400,
        body: { errcode: "M_INVALID_PARAM" },
      });
    }
    for (const body of [{ pdus: Array(51).fill({}) }, { edus: Array(101).fill({}) }, { pdus: 7 }]) {
      expect(await peer.ask(hs, "PUT", `${uri}many`, body)).toMatchObject({
        status: 400,
        body: { errcode: "M_BAD_JSON" },
      });
    }
  });

  test("is answered whatever is in it", async () => {
    const { wire, joined, remote } = await sharedRoom(hs, peer);
    const good = remote.add(peer.user("creator"), message("good"), [joined]);
    const odd = [null, 7, [], {}, { room_id: 7 }, { room_id: "!\0" }, { room_id: remote.roomId }];
    const elsewhere = { ...wire(good), room_id: "!nowhere:else.test", event_id: "$x:else.test" };
    const { status, body } = await peer.send(hs, [...odd, elsewhere, wire(good)]);
    expect(status).toBe(200);
    expect(body.pdus).toEqual({
      "$x:else.test": { error: "This server is not in the room" },
      [good]: {},
    });
  });

  test("of a server that is denied in a room brings nothing of that room", async () => {
    const acl = (deny: string[]) => ({
      type: "m.room.server_acl",
      state_key: "",
      content: { allow: ["*"], deny },
    });
    const denying = await sharedRoom(hs, peer, { state: [acl(["LIAR.*"])] });
    const open = await sharedRoom(hs, peer, { state: [acl(["else.test"])] });
    const [bad, good] = [denying, open].map(({ remote, joined }) =>
      remote.add(peer.user("creator"), message("hello"), [joined]),
    ) as [`$${string}`, `$${string}`];
    const { body } = await peer.send(hs, [denying.wire(bad), open.wire(good)]);
    expect(body.pdus).toEqual({
      [bad]: { error: "Your server is denied in this room" },
      [good]: {},
    });
    expect((await findEvents(hs, [bad, good])).size).toBe(1);
  });

  test("brings nothing of a room that all of ours have left", async () => {
    const { remote, room, joined, wire } = await sharedRoom(hs, peer);
    const creator = peer.user("creator");
    const kick = remote.add(creator, memberDraft(`@local:${hs.name}`, "leave"), [joined]);
    const after = remote.add(creator, message("they are gone"), [kick]);
    expect((await peer.send(hs, [wire(kick)])).body.pdus).toEqual({ [kick]: {} });
    const { body } = await peer.send(hs, [wire(after)]);
    expect(body.pdus).toEqual({ [after]: { error: "This server is not in the room" } });
    expect(await shown(room.roomKey)).toEqual([]);
  });
});

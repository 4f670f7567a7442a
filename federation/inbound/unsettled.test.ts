import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { memberDraft, message } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { KeyLookup } from "#src/homeserver/remotes.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import type { EventId, RoomId, UserId } from "#src/kit/identifiers.ts";
import { enterRoom } from "#src/membership/enter-room.ts";
import { findEvents } from "#src/rooms/find-event.ts";
import { RemoteRoom } from "#src/rooms/received/testing.ts";
import { testUser } from "#src/testing.ts";
import { testFederation } from "../testing.ts";
import { settlePdus } from "./job-settle-pdus.ts";
import { keys } from "./testing-pdus.ts";
import { answersFrom, type Peer, sharedRoom, testPeer } from "./testing.ts";

const federation = await testFederation();
let hs: Homeserver;
let peer: Peer;

beforeAll(async () => {
  ({ hs } = await federation.open());
  peer = await testPeer(federation);
});
beforeEach(() => peer.answer(() => undefined));
afterAll(async () => await federation.close());

async function settle(): Promise<void> {
  await hs.sql`update unsettled_pdus set due_ms = 0`;
  while ((await settlePdus.run(hs, new AbortController().signal)) === "more");
}

async function unsettled(): Promise<string[]> {
  const rows = await hs.sql<{ event_id: string }[]>`select event_id from unsettled_pdus`;
  return rows.map((it) => it.event_id);
}

/** A message of somebody who has come since, of which we have not heard. */
async function unheardOf() {
  const shared = await sharedRoom(hs, peer);
  const user = peer.user("new");
  const joins = shared.remote.add(user, memberDraft(user, "join"), [shared.joined]);
  const says = shared.remote.add(user, message("hello"), [joins]);
  return { ...shared, joins, says };
}

describe("an event that cannot be judged when it comes", () => {
  test("is kept, and taken in when what authorises it can be had", async () => {
    const { remote, wire, says } = await unheardOf();
    expect((await peer.send(hs, [wire(says)])).body.pdus).toEqual({ [says]: {} });
    expect((await findEvents(hs, [says])).size).toBe(0);
    await settle();
    expect(await unsettled()).toEqual([says]);

    peer.answer(answersFrom(remote));
    await settle();
    expect(await unsettled()).toEqual([]);
    expect((await findEvents(hs, [says])).get(says)?.anchor).toBeDefined();
  });

  test("since its maker's keys cannot be had is kept, and taken in when they can", async () => {
    const shared = await sharedRoom(hs, peer);
    const stranger: UserId = "@new:third.test";
    const joins = shared.remote.add(stranger, memberDraft(stranger, "join"), [shared.joined]);
    const forged = { ...shared.wire(joins), origin_server_ts: 1 };
    peer.answer(answersFrom(shared.remote));
    const { verifyKeys } = hs.remotes;
    const theirs: KeyLookup = async (asked) =>
      await keys(asked.filter((it) => it.server === "third.test"));
    const others: KeyLookup = async (asked) =>
      await verifyKeys(asked.filter((it) => it.server !== "third.test"));
    const lookUp = vi.spyOn(hs.remotes, "verifyKeys").mockImplementation(others);
    const { pdus } = (await peer.send(hs, [shared.wire(joins), forged])).body;
    expect(Object.values(pdus)).toEqual([{}, {}]);
    await settle();
    expect(await unsettled()).toHaveLength(2);

    lookUp.mockImplementation(
      async (asked) => new Map([...(await others(asked)), ...(await theirs(asked))]),
    );
    await settle();
    expect(await unsettled()).toEqual([]);
    expect((await findEvents(hs, [joins])).get(joins)?.anchor).toBeDefined();
    lookUp.mockRestore();
  });

  test("is kept, though another server has sent one that claims its ID and that nobody can judge", async () => {
    const forger = await testPeer(federation, "notary.test");
    const shared = await sharedRoom(hs, peer, {
      version: "1",
      past: (remote, last) => {
        const user = forger.user("member");
        return remote.add(user, memberDraft(user, "join"), [last]);
      },
    });
    const user = peer.user("new");
    const joins = shared.remote.add(user, memberDraft(user, "join"), [shared.joined]);
    const says = shared.remote.add(user, message("hello"), [joins]);
    const gone = { [peer.name]: { "ed25519:gone": unpaddedBase64(Buffer.alloc(64)) } };
    const forged = { ...shared.wire(says), signatures: gone };
    for (const { body } of [
      await forger.send(hs, [forged]),
      await peer.send(hs, [shared.wire(says)]),
    ]) {
      expect(body.pdus).toEqual({ [says]: {} });
    }

    peer.answer(answersFrom(shared.remote));
    await settle();
    expect((await findEvents(hs, [says])).get(says)?.anchor).toBeDefined();
    expect(await unsettled()).toEqual([says]);
    await hs.sql`delete from unsettled_pdus`;
  });

  test("since we fail is kept, and holds up none of the others", async () => {
    const { remote, wire, joined } = await sharedRoom(hs, peer);
    const creator = peer.user("creator");
    const ids = ["before", "poison", "after"].reduce<EventId[]>(
      (all, it) => [...all, remote.add(creator, message(it), [joined])],
      [],
    );
    const [, poison] = ids as [EventId, EventId];
    await hs.sql`
      create function refuse() returns trigger language plpgsql as
        $$ begin raise exception 'poison'; end $$`;
    await hs.sql`
      create trigger refusal before insert on events for each row
      when (new.json like '%poison%') execute function refuse()`;
    const { status, body } = await peer.send(hs, ids.map(wire));
    expect({ status, pdus: body.pdus }).toEqual({
      status: 200,
      pdus: Object.fromEntries(ids.map((id) => [id, {}])),
    });
    expect([...(await findEvents(hs, ids)).keys()]).not.toContain(poison);
    await settle();
    expect(await unsettled()).toEqual([poison]);
    await hs.sql`drop function refuse cascade`;
    await settle();
    expect(await unsettled()).toEqual([]);
    expect((await findEvents(hs, ids)).size).toBe(3);
  });

  test.each([
    ["connection", "53300", 503],
    ["room", "53100", 507],
  ])("since the database has no %s left is to be sent again", async (name, code, status) => {
    const { remote, wire, joined } = await sharedRoom(hs, peer);
    const says = remote.add(peer.user("creator"), message("full"), [joined]);
    await hs.sql.unsafe(`
      create function refuse() returns trigger language plpgsql as
        $$ begin raise exception 'full' using errcode = '${code}'; end $$`);
    await hs.sql`create trigger refusal before insert on events for each row execute function refuse()`;
    expect((await peer.send(hs, [wire(says)], name)).status).toBe(status);
    await hs.sql`drop function refuse cascade`;
    expect(await unsettled()).toEqual([]);
    expect((await peer.send(hs, [wire(says)], name)).body.pdus).toEqual({ [says]: {} });
    expect((await findEvents(hs, [says])).get(says)?.anchor).toBeDefined();
  });

  test("is forgotten after a month, and when we have left the room", async () => {
    const old = await unheardOf();
    await peer.send(hs, [old.wire(old.says)]);
    await hs.sql`update unsettled_pdus set received_ms = 0`;
    await settle();
    expect(await unsettled()).toEqual([]);

    const left = await unheardOf();
    await peer.send(hs, [left.wire(left.says)]);
    const kick = memberDraft(`@local:${hs.name}`, "leave");
    const kicked = left.remote.add(peer.user("creator"), kick, [left.joined]);
    await peer.send(hs, [left.wire(kicked)]);
    await settle();
    expect(await unsettled()).toEqual([]);
  });
});

describe("of a room that somebody of ours is about to enter", () => {
  test("nothing is taken or refused before that is over", async () => {
    const remote = new RemoteRoom("12", "entered");
    const creator = peer.user("creator");
    const id = remote.add(creator, message("early"), [remote.begin(creator)]);
    const { promise, resolve } = Promise.withResolvers<undefined>();
    peer.answer(async () => await promise);
    const entering = enterRoom(hs, await testUser(hs, "erin"), {
      roomId: remote.roomId as RoomId,
      via: [peer.name],
    }).catch(() => "failed");
    const asked = () => peer.asked.some((it) => it.includes("make_join"));
    await vi.waitFor(() => expect(asked()).toBe(true), { timeout: 20_000 });
    let isAnswered = false;
    const sending = peer
      .send(hs, [JSON.parse(remote.received(id).json)])
      .finally(() => (isAnswered = true));
    // What another server sends is answered meanwhile.
    const other = await testPeer(federation, "notary.test");
    expect((await other.send(hs, [])).status).toBe(200);
    expect(isAnswered).toBe(false);
    resolve(undefined);
    expect(await entering).toBe("failed");
    expect((await sending).status).toBe(200);
  });
});

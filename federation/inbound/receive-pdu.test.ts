import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signEvent } from "#src/events/event-signatures.ts";
import type { WireEvent } from "#src/events/pdu.ts";
import { memberDraft, message, topic } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { KeyLookup } from "#src/homeserver/remotes.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { signingKeyFromSeed } from "#src/kit/signed-json.ts";
import { allStateAt, currentStateRoot } from "#src/rooms/current-state.ts";
import { findEvents } from "#src/rooms/find-event.ts";
import { receiveEvents } from "#src/rooms/received/receive-events.ts";
import { redactEvent } from "#src/rooms/redact-event.ts";
import { EventStatus } from "#src/rooms/stored-event.ts";
import { currentPosition } from "#src/streams/tail.ts";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";
import { receivePdus } from "./receive-pdu.ts";
import { begun, BOB, CREATOR, keys, nobody, origin, serverOf, wireOf } from "./testing-pdus.ts";

let servers: TestHomeservers;
let hs: Homeserver;

beforeAll(async () => {
  servers = await testHomeservers(1);
  ({ hs } = servers);
});
afterAll(async () => await servers.close());

describe("PDUs", () => {
  test.each(["1", "5", "11", "12"])("are taken into a room of version %s", async (version) => {
    const { remote, room, last } = await begun(hs, version);
    const id = remote.add(BOB, message("hello"), [last]);
    const options = { origin, keys, remotes: serverOf(remote) };
    const { receipts } = await receivePdus(hs, room, [wireOf(remote, id)], options);
    expect(receipts.get(id)).toEqual({ outcome: "accepted" });
    expect(options.remotes.asked).toEqual([]);
    const again = await receivePdus(hs, room, [wireOf(remote, id)], options);
    expect(again.receipts.get(id)).toMatchObject({ outcome: "known" });
  });

  test("are dropped if they are none, or not signed by their sender's server", async () => {
    const { remote, room, last } = await begun(hs);
    const id = remote.add(BOB, message("hello"), [last]);
    const wire = wireOf(remote, id);
    const forged = { ...wire, sender: "@mallory:three.test" };
    const bare = { ...wire, signatures: {} };
    const named = { ...wire, type: "a\0b" };
    const its = [forged, bare, named, 7, null, { ...wire, depth: -1 }, [wire]];
    const { dropped, receipts } = await receivePdus(hs, room, its, {
      origin,
      keys,
      remotes: serverOf(remote),
    });
    expect(dropped.map((it) => it.check)).toEqual([2, 2, 1, 1, 1, 1, 1]);
    expect(receipts.size).toBe(0);
    expect((await findEvents(hs, [id])).size).toBe(0);
  });

  test("are not rejected for want of the key of who authorised a join", async () => {
    const { remote, room, last } = await begun(hs);
    const join = { membership: "join", join_authorised_via_users_server: CREATOR };
    const restricted = {
      type: "m.room.join_rules",
      state_key: "",
      content: { join_rule: "restricted" },
    };
    const rules = remote.add(CREATOR, restricted, [last]);
    const user: UserId = "@new:three.test";
    const id = remote.add(user, { type: "m.room.member", state_key: user, content: join }, [rules]);
    const unsigned = wireOf(remote, id);
    const key = signingKeyFromSeed("ed25519:1", Buffer.alloc(32, origin));
    const signed = signEvent(unsigned as WireEvent, remote.rules, origin, key);
    const options = { origin, remotes: serverOf(remote), keys };
    const lost: KeyLookup = async (asked) => await keys(asked.filter((it) => it.server !== origin));

    await receivePdus(hs, room, [wireOf(remote, rules)], options);
    const unheard = await receivePdus(hs, room, [signed], { ...options, keys: lost });
    expect(unheard.dropped).toMatchObject([{ check: 2, eventId: id }]);
    const { receipts } = await receivePdus(hs, room, [signed], options);
    expect(receipts.get(id)).toEqual({ outcome: "accepted" });

    const other = await begun(hs);
    const otherRules = other.remote.add(CREATOR, restricted, [other.last]);
    const draft = { type: "m.room.member", state_key: user, content: join };
    const never = other.remote.add(user, draft, [otherRules]);
    const its = [otherRules, never].map((it) => wireOf(other.remote, it));
    const taken = await receivePdus(hs, other.room, its, options);
    expect(taken.receipts.get(never)).toMatchObject({ outcome: "rejected", check: 4 });
  });

  test("are redacted if their content is not what their maker hashed", async () => {
    const { remote, room, last } = await begun(hs);
    const id = remote.add(BOB, message("hello"), [last]);
    const changed = { ...wireOf(remote, id), content: { body: "changed" } };
    const { receipts } = await receivePdus(hs, room, [changed], {
      origin,
      keys,
      remotes: serverOf(remote),
    });
    expect(receipts.get(id)).toEqual({ outcome: "accepted" });
    expect((await findEvents(hs, [id])).get(id)?.content).toEqual({});
  });

  test("of somebody who was banned meanwhile are soft-failed", async () => {
    const { remote, room, last } = await begun(hs);
    const ban = remote.add(CREATOR, memberDraft(BOB, "ban"), [last]);
    const id = remote.add(BOB, topic("from the past"), [last]);
    const options = { origin, keys, remotes: serverOf(remote) };
    await receivePdus(hs, room, [wireOf(remote, ban)], options);
    const heard = remote.add(BOB, message("from the past"), [last]);
    const both = [wireOf(remote, heard), wireOf(remote, id)];
    const { receipts } = await receivePdus(hs, room, both, options);
    expect(receipts.get(heard)).toMatchObject({ outcome: "soft-failed", check: 6 });
    expect(receipts.get(id)?.outcome).toBe("rejected");
    const state = await allStateAt(hs, await currentStateRoot(hs, room.roomKey));
    const bob = state.find((it) => it.type === "m.room.member" && it.stateKey === BOB);
    expect(bob?.eventId).toBe(ban);
    const stored = (await findEvents(hs, [heard])).get(heard);
    expect(stored?.status).toBe(EventStatus.softFailed);
  });

  test("may hold what no database can, where they name nothing", async () => {
    const { remote, room, last } = await begun(hs);
    const content = (relation: Record<string, string>) => ({
      body: "a\0b",
      "m.mentions": { user_ids: ["@a\0b:test"], room: true },
      "m.relates_to": relation,
    });
    const ids = [
      { rel_type: "m.thread", event_id: "$a\0" },
      { rel_type: "m.\0", event_id: last },
      { rel_type: "m.annotation", event_id: last, key: "\0" },
    ].map((it) => remote.add(BOB, { type: "m.room.message", content: content(it) }, [last]));
    const pdus = ids.map((id) => wireOf(remote, id));
    const { receipts } = await receivePdus(hs, room, pdus, {
      origin,
      keys,
      remotes: serverOf(remote),
    });
    expect(ids.map((id) => receipts.get(id)?.outcome)).toEqual(ids.map(() => "accepted"));
    expect((await findEvents(hs, ids)).size).toBe(3);
  });

  test("redact what comes after them, and are told to clients from then on", async () => {
    const { remote, room, last } = await begun(hs);
    const target = remote.add(BOB, message("regretted"), [last]);
    const redact = (reason: string) =>
      remote.add(BOB, { type: "m.room.redaction", content: { reason }, redacts: target }, [last]);
    const [redaction, another] = [redact("a slip"), redact("a mistake")];
    const statuses = async () => {
      const stored = await findEvents(hs, [redaction, another]);
      return [redaction, another].map((id) => stored.get(id)?.status);
    };
    const options = { origin, keys, remotes: serverOf(remote) };
    await receivePdus(hs, room, [wireOf(remote, redaction), wireOf(remote, another)], options);
    expect(await statuses()).toEqual([EventStatus.untold, EventStatus.untold]);
    const after = await currentPosition(hs);
    await receivePdus(hs, room, [wireOf(remote, target)], options);
    const stored = await findEvents(hs, [target, redaction]);
    const placed = await hs.sql`
      select from events where event_id = any(${[redaction, another]}::text[]) and placed_at > ${after}`;
    expect(placed).toHaveLength(2);
    expect(stored.get(target)?.redactedBy).toBe(stored.get(redaction)?.eventKey);
    expect(await statuses()).toEqual([EventStatus.accepted, EventStatus.accepted]);
    const waiting = await hs.sql`select from waiting_redactions where target = ${target}`;
    expect(waiting).toHaveLength(0);
  });

  test("redact what comes after them and has to wait for others then", async () => {
    const { remote, room, last } = await begun(hs);
    const lost = remote.add(BOB, message("lost"), [last]);
    const target = remote.add(BOB, message("regretted"), [lost]);
    const redaction = remote.add(BOB, { type: "m.room.redaction", content: {}, redacts: target }, [
      last,
    ]);
    const options = { origin, keys, remotes: nobody };
    await receivePdus(hs, room, [wireOf(remote, redaction)], options);
    const { receipts } = await receivePdus(hs, room, [wireOf(remote, target)], options);
    expect(receipts.get(target)?.outcome).toBe("waits");
    await receivePdus(hs, room, [wireOf(remote, lost)], options);
    const stored = await findEvents(hs, [target, redaction]);
    expect(stored.get(target)).toMatchObject({
      status: EventStatus.accepted,
      redactedBy: stored.get(redaction)?.eventKey,
    });
  });

  test("are redacted by what a user of ours has sent before they came", async () => {
    const { remote, room, last } = await begun(hs);
    const local = await testUser(hs, "local");
    const { userId } = local;
    const options = { origin, keys, remotes: serverOf(remote) };
    const levels = { users: { [userId]: 100 } };
    const join = remote.add(userId, memberDraft(userId, "join"), [last]);
    const raised = remote.add(
      CREATOR,
      { type: "m.room.power_levels", state_key: "", content: levels },
      [join],
    );
    const target = remote.add(BOB, message("regretted"), [raised]);
    await receiveEvents(hs, room, [remote.received(join), remote.received(raised)]);
    const redaction = await redactEvent(hs, {
      requester: local,
      room,
      target,
      content: {},
      transaction: { deviceKey: local.deviceKey, txnId: "before" },
    });
    await receivePdus(hs, room, [wireOf(remote, target)], options);
    const stored = await findEvents(hs, [target, redaction]);
    expect(stored.get(target)?.redactedBy).toBe(stored.get(redaction)?.eventKey);
  });
});

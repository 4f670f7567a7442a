import { afterAll, beforeAll, expect, test } from "vitest";
import { memberDraft } from "#src/events/testing.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { currentPosition } from "#src/streams/tail.ts";
import { testUser } from "#src/testing.ts";
import { type FederatedHomeserver, testFederation } from "../testing.ts";
import { packTransaction } from "./pack-transaction.ts";
import { QUICK, type Recorder, recorder, sharedRoom, taking, WAIT } from "./testing.ts";

const federation = await testFederation();
let hs1: FederatedHomeserver;
let one: Recorder;

beforeAll(async () => {
  hs1 = await federation.open({ outboundTimes: QUICK });
  one = await recorder(federation, "liar.test");
});
afterAll(async () => await federation.close());

test("an invitation with a text that is none to the database keeps nothing from other servers", async () => {
  const { hs } = hs1;
  const shared = await sharedRoom(hs, [one.name]);
  const [creator = "@a:b"] = shared.members;
  const invited = await testUser(hs, "invited");
  const invitation = memberDraft(invited.userId, "invite");
  await shared.receive(creator, {
    ...invitation,
    content: { ...invitation.content, reason: "\0 \\u0000 \\", "member\0ship": "join" },
  });
  await shared.say("before");
  await expect.poll(() => taking(one, "before"), WAIT).toEqual(["before"]);
  const { room } = shared;
  await sendEvent(hs, { sender: invited, room, draft: memberDraft(invited.userId, "join") });
  await shared.say("after");
  await expect.poll(() => taking(one, "after"), WAIT).toEqual(["after"]);
});

test("what is wrong with what one server is owed keeps nothing from the others", async () => {
  const { hs } = hs1;
  const [ill, well] = ["ill.test:1", "well.test:1"] as [ServerName, ServerName];
  const [room, other] = [await sharedRoom(hs, [ill]), await sharedRoom(hs, [well])];
  const [creator = "@a:b"] = room.members;
  const guest = await testUser(hs, "guest");
  const invite = await room.receive(creator, memberDraft(guest.userId, "invite"));
  const after = await currentPosition(hs);
  const draft = memberDraft(guest.userId, "join");
  await sendEvent(hs, { sender: guest, room: room.room, draft });
  await other.say("to the others");
  await hs.sql`update events set json = 'none' where event_id = ${invite}`;
  const [forIll, forWell] = await Promise.allSettled(
    [ill, well].map(async (it) => await packTransaction(hs, it, after)),
  );
  expect(forIll?.status).toBe("rejected");
  expect(forWell).toMatchObject({ status: "fulfilled", value: { pdus: [expect.any(String)] } });
});

import { afterAll, beforeAll, expect, test } from "vitest";
import { memberDraft } from "#src/events/testing.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { testUser } from "#src/testing.ts";
import { type FederatedHomeserver, testFederation } from "../testing.ts";
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

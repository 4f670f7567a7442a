import { afterAll, expect, test } from "vitest";
import { memberDraft } from "#src/events/testing.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { keepStickyJob } from "#src/rooms/sticky/keep-sticky.ts";
import { sharedRoom, WAIT, recordedFederation, taking } from "./testing.ts";

const { federation, hs1, one, two } = await recordedFederation();
afterAll(async () => await federation.close());

async function begun(prefix: string, count: number) {
  const { hs } = hs1;
  const shared = await sharedRoom(hs, [one.name]);
  const bodies = Array.from({ length: count }, (_, index) => `${prefix} ${index}`);
  const { local: sender, room } = shared;
  for (const body of bodies) {
    const draft = { type: "org.example.call", content: { body }, stickyMs: 600_000 };
    await sendEvent(hs, { sender, room, draft });
  }
  const joins = async () => {
    const user: UserId = `@newcomer:${two.name}`;
    await shared.receive(user, memberDraft(user, "join"), { isRelayed: true });
  };
  return { hs, shared, bodies, joins };
}

test("a server that comes to a room is sent what is sticky there, in order and once", async () => {
  const { shared, bodies, joins } = await begun("sticky", 60);
  await shared.say("sticky no more");
  await expect.poll(() => taking(one, "sticky").length, WAIT).toBe(61);
  await joins();
  await expect.poll(() => taking(two, "sticky"), WAIT).toEqual(bodies);
  expect(Math.max(...two.taken.map((it) => it.body.pdus.length))).toBeLessThanOrEqual(50);
  const [pdu] = two.taken.flatMap((it) => it.body.pdus);
  expect(pdu?.["msc4354_sticky"]).toEqual({ duration_ms: 600_000 });
  await shared.say("later");
  await expect.poll(() => taking(two, "later"), WAIT).toEqual(["later"]);
  expect(taking(two, "sticky")).toEqual(bodies);
  expect(taking(one, "sticky")).toHaveLength(61);
});

test("a server that comes gets what is sticky also after an outage, and nothing whose time is over", async () => {
  const { hs, shared, bodies, joins } = await begun("missed", 3);
  const { local: sender, room } = shared;
  const draft = { type: "org.example.call", content: { body: "missed it" }, stickyMs: 1 };
  await sendEvent(hs, { sender, room, draft });
  two.mode = "down";
  await joins();
  await keepStickyJob.run(hs, hs.stopping);
  two.mode = "up";
  await expect.poll(() => taking(two, "missed"), WAIT).toEqual(bodies);
});

import { expect, test } from "vitest";
import { answersFrom, sharedRoom } from "#federation/inbound/testing.ts";
import { memberDraft, message } from "#src/events/testing.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { findEvents } from "../find-event.ts";
import type { ReceivedEvent } from "../received/received-event.ts";
import { fetchAuthEvents } from "./fetch-auth-events.ts";
import { holedFederation } from "./testing.ts";

const { hs, peer } = await holedFederation();

/** How many events each lack something that authorises no other. */
const MANY = 120;

/** Counts what is looked for. */
class Counted extends Map<EventId, ReceivedEvent> {
  looked = 0;

  override has(id: EventId): boolean {
    this.looked++;
    return super.has(id);
  }
}

test("what authorises many events is asked for without looking through all of them each time", async () => {
  const { remote, room, joined } = await sharedRoom(hs, peer);
  const all = new Counted();
  const joins: EventId[] = [];
  for (let n = 0; n < MANY; n++) {
    const user = peer.user(`user${n}`);
    const join = remote.add(user, memberDraft(user, "join"), [joined]);
    const id = remote.add(user, message("hello"), [join]);
    joins.push(join);
    all.set(id, remote.received(id));
  }
  peer.answer(answersFrom(remote));
  await fetchAuthEvents(hs, room, all, {
    servers: [peer.name],
    remotes: hs.remotes,
    keys: hs.remotes.verifyKeys,
  });
  expect((await findEvents(hs, joins)).size).toBe(MANY);
  expect(peer.asked).toHaveLength(MANY);
  expect(all.looked).toBeLessThan(MANY * MANY * 4);
});

import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { EVENTS } from "#src/rooms/event-changes.ts";
import { type Placed, serversOwed } from "#src/rooms/room-servers.ts";
import { EventStatus, StoredEvent } from "#src/rooms/stored-event.ts";
import { otherServerOf } from "#src/rooms/user-keys.ts";
import type { Change } from "#src/streams/stream.ts";
import { tailOf } from "#src/streams/tail.ts";
import { onHeardFrom } from "../client/heard-from.ts";
import { Dispatch } from "./dispatch.ts";
import type { OutboundTimes } from "./outbound-times.ts";

/**
 * Sends to other servers what they are owed, until the homeserver stops. Every process does; each
 * destination is one process's at a time.
 *
 * @returns what resolves when nothing is under way any more.
 * @spec server-server-api#transactions
 */
export async function runOutbound(hs: Homeserver, times?: OutboundTimes): Promise<void> {
  if (!hs.config.federation.enabled) return;
  const dispatch = new Dispatch(hs, times);
  onHeardFrom(hs, (server) => dispatch.heard(server));
  tailOf(hs).listen({
    changed(changes) {
      const owed = changes.flatMap((it) => ofOurs(hs, it));
      if (owed.length > 0) void wakeOwed(hs, dispatch, owed);
    },
    missed: () => dispatch.wakeAll(),
  });
  await dispatch.run();
}

/** Where something happened that is ours to tell others of. */
function ofOurs(hs: Homeserver, { stream, detail, position }: Change): Placed[] {
  if (stream !== EVENTS || !(detail instanceof StoredEvent)) return [];
  const isOurs = detail.isRelayed ?? otherServerOf(hs, detail.sender) === undefined;
  if (!isOurs || detail.status !== EventStatus.accepted || detail.anchor !== position) return [];
  return [{ roomKey: detail.roomKey, position }];
}

async function wakeOwed(
  hs: Homeserver,
  dispatch: Dispatch,
  owed: readonly Placed[],
): Promise<void> {
  // What is known of rooms may be forgotten because of these same changes: so all others hear of them first.
  await Promise.resolve();
  try {
    dispatch.wake(await serversOwed(hs, owed));
  } catch (error) {
    // The follower marks what they are owed all the same.
    if (!hs.stopping.aborted) hs.log.warn({ err: error }, "cannot see which servers are in rooms");
  }
}

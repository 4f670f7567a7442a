import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Change } from "#src/streams/stream.ts";
import { tailOf } from "#src/streams/tail.ts";
import { onHeardFrom } from "../client/heard-from.ts";
import { Dispatch } from "./dispatch.ts";
import { changesForOthers, isNothing, serversConcerned, typingForOthers } from "./for-others.ts";
import type { OutboundTimes } from "./outbound-times.ts";
import { tellPresence } from "./tell-presence.ts";

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
    changed: (changes) => void heed(hs, dispatch, changes),
    missed: () => dispatch.wakeAll(),
  });
  tellPresence(hs, dispatch);
  await dispatch.run();
}

/** Wakes those whom changes concern. */
async function heed(hs: Homeserver, dispatch: Dispatch, changes: readonly Change[]): Promise<void> {
  const its = changesForOthers(hs, changes);
  if (isNothing(its)) return;
  // What is known of rooms may be forgotten because of these same changes: so all others hear of them first.
  await Promise.resolve();
  try {
    dispatch.wake(await serversConcerned(hs, its));
    for (const { servers, key, edu } of await typingForOthers(hs, its)) {
      dispatch.tell(servers, key, edu);
    }
  } catch (error) {
    // The follower marks what they are owed all the same.
    if (!hs.stopping.aborted) hs.log.warn({ err: error }, "cannot see which servers are in rooms");
  }
}

import { setTimeout as sleep } from "node:timers/promises";
import { ALIVE_SECONDS } from "#src/homeserver/count-alive.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { processesBefore } from "#src/streams/presence.ts";
import { isOneAlive, serversThere } from "./queries-greet.ts";
import { newTransactionId } from "./transaction-id.ts";

/** Servers that are greeted at once. */
const AT_ONCE = 8;

/** How long one may take. */
const TIMEOUT_MS = 10_000;

/** After this time nobody is greeted any more: by then they have tried again by themselves. */
const LONGEST_MS = 10 * 60_000;

/** After this time it is certain whether others that seem to be there are, and did not just die. */
const CERTAIN_MS = (ALIVE_SECONDS + 30) * 1000;

/**
 * Sends the servers in rooms with us a transaction of nothing. Whoever had something for us while we were not there has
 * been waiting since it failed: Synapse for ten minutes at first. They all try again as soon as they get a request that we
 * have signed. Not if another process of the homeserver was there before this one and is there still: then it has not been away.
 *
 * @returns when all have been greeted that can be, at the latest when the homeserver stops. Never throws.
 * @spec server-server-api#put_matrixfederationv1sendtxnid
 */
export async function greetServers(hs: Homeserver, certainMs = CERTAIN_MS): Promise<void> {
  if (!hs.config.federation.enabled) return;
  try {
    const before = processesBefore(hs);
    if (before.length > 0) await sleep(certainMs, undefined, { signal: hs.stopping });
    if (await isOneAlive(hs.sql, before)) return;
    const signal = AbortSignal.any([hs.stopping, AbortSignal.timeout(LONGEST_MS)]);
    const servers = await serversThere(hs.sql);
    const greetSome = async () => {
      for (let it = servers.pop(); it !== undefined && !signal.aborted; it = servers.pop()) {
        const now = hs.now();
        const txnId = newTransactionId(now);
        const nothing = { txnId, origin_server_ts: now, pdus: [], edus: [] };
        // Who does not answer is not there, or will hear of us later.
        await hs.remotes.sendTransaction(it, nothing, { signal, timeoutMs: TIMEOUT_MS });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, greetSome));
  } catch (error) {
    if (!hs.stopping.aborted) hs.log.warn({ err: error }, "cannot tell servers that we are here");
  }
}

import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Job } from "#src/jobs/job.ts";
import { write } from "#src/streams/write.ts";
import type { PresenceAct } from "./decide-presence.ts";
import { presenceStream } from "./presence-stream.ts";
import { deleteOffline, lostSyncs, unheardUsers } from "./queries-presence.ts";

const BATCH = 500;

/** Other servers say again of who is there that they are, at least each 25 minutes. */
const UNHEARD_MS = 35 * 60_000;

/** How long it is known when somebody was last there. */
const KEPT_MS = 24 * 60 * 60_000;

/** Takes those for gone whose process has gone, or of whom another server has not said that they are there for long. */
export const endAbsentPresence: Job = {
  name: "end-absent-presence",
  everyMs: 60_000,
  async run(hs) {
    if (!hs.config.presence.enabled) return "done";
    const lost = await lostSyncs(hs.sql, BATCH);
    const sinceMs = hs.now() - UNHEARD_MS;
    const unheard = await unheardUsers(hs.sql, sinceMs, BATCH);
    await Promise.all([
      ...lost.map(async ({ userKey, processId }) => {
        await end(hs, userKey, { kind: "sync", processId, state: undefined });
      }),
      ...unheard.map(async (userKey) => await end(hs, userKey, { kind: "unheard", sinceMs })),
    ]);
    return lost.length === BATCH || unheard.length === BATCH ? "more" : "done";
  },
};

async function end(hs: Homeserver, userKey: number, act: PresenceAct): Promise<void> {
  const local = act.kind === "sync";
  await write(hs, presenceStream, { userKey, local, act, now: hs.now() });
}

/** Forgets who has long been offline. */
export const forgetPresence: Job = {
  name: "forget-presence",
  everyMs: 60 * 60_000,
  async run(hs) {
    const gone = await deleteOffline(hs.sql, hs.now() - KEPT_MS, BATCH);
    return gone === BATCH ? "more" : "done";
  },
};

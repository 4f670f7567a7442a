import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Job } from "#src/jobs/job.ts";
import { write } from "#src/streams/write.ts";
import { eventsOf } from "../find-event.ts";
import type { StoredEvent } from "../stored-event.ts";
import {
  findUnredacted,
  forgetEndedRedactions,
  type Progress,
  type RoomPlace,
  unfinishedRedactions,
} from "./queries-sender-redactions.ts";
import { senderRedactionsStream } from "./sender-redactions-stream.ts";

/** How many events of a room are looked through at once; and for how many users at once. */
const LOOKED_AT = 2_000;
const AT_ONCE = 20;

type Work = { running: Promise<void> | undefined; isAskedAgain: boolean };

const workOf = held((): Work => ({ running: undefined, isAskedAgain: false }));

/**
 * Redacts what users sent who were removed from rooms in such a way. Returns when that is done of all who had been
 * removed so before the call.
 */
export async function redactSenders(hs: Homeserver): Promise<void> {
  const work = workOf(hs);
  work.isAskedAgain = true;
  work.running ??= (async () => {
    try {
      while (work.isAskedAgain && !hs.stopping.aborted) {
        work.isAskedAgain = false;
        await redactAll(hs);
      }
    } finally {
      work.running = undefined;
    }
  })();
  await work.running;
}

/** The same, by somebody who does not wait for it. */
export function redactSendersSoon(hs: Homeserver): void {
  redactSenders(hs).catch((error: unknown) => {
    // The job comes back to it.
    if (!hs.stopping.aborted) hs.log.warn({ err: error }, "cannot redact what a user sent");
  });
}

/** Goes on where a process has stopped. */
export const redactSendersJob: Job = {
  name: "redact-senders",
  everyMs: 60_000,
  async run(hs) {
    await redactSenders(hs);
    await forgetEndedRedactions(hs.sql);
    return "done";
  },
};

async function redactAll(hs: Homeserver): Promise<void> {
  for (;;) {
    const its = await unfinishedRedactions(hs.sql, AT_ONCE);
    if (its.length === 0 || hs.stopping.aborted) return;
    for (const it of its) await redactOne(hs, it);
  }
}

async function redactOne(hs: Homeserver, it: Progress): Promise<void> {
  const { redactionKey, roomKey, senderKey, begun } = it;
  const removal = (await eventsOf(hs, [redactionKey])).get(redactionKey);
  if (!removal) throw new Error("a user was removed by an event that is not known");
  const until = placeOf(removal);
  const since = begun?.since ?? (await beginningOfStay(hs, removal));
  const step = { redactionKey, roomKey, senderKey, since, until };
  if (!begun) await write(hs, senderRedactionsStream, step);
  let redacted = 0;
  for (let down: RoomPlace | undefined = begun?.down ?? until; down;) {
    const found = await findUnredacted(hs.sql, it, { since, down }, LOOKED_AT);
    await write(hs, senderRedactionsStream, { ...step, found });
    redacted += found.eventKeys.length;
    ({ down } = found);
    if (hs.stopping.aborted) return;
  }
  const { eventId, sender, stateKey } = removal;
  hs.log.info(
    { eventId, removedBy: sender, userId: stateKey, events: redacted },
    "redacted what a user had sent who was removed from a room",
  );
}

/**
 * Where a user's last stay in a room began: what they sent during an earlier one is not redacted. It had ended before the
 * removal where somebody has left or been kicked, and is banned then. Of what changed while they were joined, as their
 * name, no stay begins.
 */
async function beginningOfStay(hs: Homeserver, removal: StoredEvent): Promise<RoomPlace> {
  let beginning: StoredEvent | undefined;
  for (let { replaces } = removal; replaces !== undefined;) {
    const event = (await eventsOf(hs, [replaces])).get(replaces);
    if (!event) break;
    if (event.content["membership"] === "join") beginning = event;
    else if (beginning) break;
    ({ replaces } = event);
  }
  return beginning?.anchor === undefined ? FROM_THE_FIRST : placeOf(beginning);
}

const FROM_THE_FIRST: RoomPlace = { anchor: -1, offset: 0 };

function placeOf({ anchor, anchorOffset, eventKey }: StoredEvent): RoomPlace {
  return { anchor: anchor ?? eventKey, offset: anchorOffset };
}

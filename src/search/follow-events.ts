import { relationOf } from "#src/events/threads.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Job } from "#src/jobs/job.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { eventsOf, findEvents } from "#src/rooms/find-event.ts";
import { redactedIn } from "#src/rooms/redacted-in.ts";
import { EventStatus, type StoredEvent } from "#src/rooms/stored-event.ts";
import { tailOf } from "#src/streams/tail.ts";
import { editsOf } from "#src/timeline/aggregate-events.ts";
import {
  advanceSearch,
  deleteEntries,
  nextSearched,
  type SearchEntry,
  searchProgress,
  storeEntries,
} from "./queries-search.ts";
import { tokensOf } from "./search-tokens.ts";
import { searchableText } from "./searchable-text.ts";

const BATCH = 500;

/** How many batches a search waits for. If the index is further behind, it answers from what there is. */
const MOST_BATCHES = 2;

/** Keeps what can be found up when nobody searches. */
export const followForSearch: Job = {
  name: "follow-for-search",
  everyMs: 5_000,
  followsStreams: true,
  run: async (hs) => await followSome(hs),
};

/** Brings the index to where the streams are now, so that who searches after a write finds it. */
export async function catchUpSearch(hs: Homeserver): Promise<void> {
  for (let batch = 0; batch < MOST_BATCHES; batch++) {
    if ((await followSome(hs)) === "done") return;
  }
}

/**
 * Takes in the next of what was said in rooms. Any process may do it; what was read is stored by the quickest.
 * Sending does nothing for it.
 */
async function followSome(hs: Homeserver): Promise<"more" | "done"> {
  const progress = await searchProgress(hs);
  if (progress.done >= progress.upTo) return "done";
  // Of what is in memory this process knows the redactions that it has heard of, and these are not looked at again.
  await tailOf(hs).hasReached(progress.upTo);
  const next = await nextSearched(hs, progress, BATCH);
  const isLast = next.length < BATCH;
  const to = isLast ? progress.upTo : (next.at(-1)?.at ?? progress.upTo);
  // What was said lately is in memory.
  const said = await eventsOf(
    hs,
    next.map((it) => it.key),
  );
  const changed = await changedEvents(hs, [...said.values()]);
  const { entries, gone } = await entriesOf(hs, changed);
  await hs.sql.begin(async (tx) => {
    if (!(await advanceSearch(tx, { from: progress.done, to }))) return;
    await storeEntries(tx, entries);
    await deleteEntries(tx, gone);
  });
  return isLast ? "done" : "more";
}

/** The events of which something else is to be found now: new ones, those that were edited, those that were redacted. */
async function changedEvents(
  hs: Homeserver,
  events: readonly StoredEvent[],
): Promise<Iterable<StoredEvent>> {
  const redacted = await findEvents(hs, events.flatMap(redactedIn));
  const said = [...events.filter((it) => it.type !== "m.room.redaction"), ...redacted.values()];
  const changed = new Map(said.filter((it) => !editedBy(it)).map((it) => [it.eventId, it]));
  const edited = said.flatMap((it) => editedBy(it) ?? []).filter((it) => !changed.has(it));
  for (const [id, event] of await findEvents(hs, edited)) changed.set(id, event);
  return changed.values();
}

/** The event that an edit is of, also of one that was redacted. */
function editedBy({ content }: StoredEvent): EventId | undefined {
  const relation = relationOf(content);
  return relation?.relType === "m.replace" ? relation.eventId : undefined;
}

async function entriesOf(
  hs: Homeserver,
  changed: Iterable<StoredEvent>,
): Promise<{ entries: SearchEntry[]; gone: number[] }> {
  const events = [...changed].filter((it) => it.anchor !== undefined);
  const edits = await editsOf(hs, events);
  const entries: SearchEntry[] = [];
  const gone: number[] = [];
  for (const event of events) {
    const { eventKey, roomKey, anchor = 0, anchorOffset, status } = event;
    const text =
      status === EventStatus.accepted ? searchableText(event, edits.get(event.eventId)) : undefined;
    const tokens = text === undefined ? [] : tokensOf(text);
    if (tokens.length === 0) gone.push(eventKey);
    else {
      const further = [roomToken(roomKey), ...(event.stateKey === undefined ? [] : [event.type])];
      entries.push({ eventKey, roomKey, anchor, anchorOffset, tokens: [...tokens, ...further] });
    }
  }
  return { entries, gone };
}

/** The token of all that is in a room. No text has such a one. */
export function roomToken(roomKey: number): string {
  return `#${roomKey}`;
}

import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { PlacedReceived } from "./place-received.ts";
import { noteCome, noteMissing, noteTakenIn } from "./queries-missing.ts";

/** Whoever stores what others have waited for has this long to take them in before the job does. */
const TAKE_IN_MS = 60_000;

/** Records which events are missing once received ones are stored, and which are not any more. */
export function noteHoles(
  hs: Homeserver,
  lane: Tx,
  { write, settlement, placed }: PlacedReceived,
): void {
  const { roomKey } = write.room;
  const placedIds = placed.filter(({ row }) => row.anchor !== null).map(({ row }) => row.event_id);
  const come = settlement.waiting?.isMissed === false ? [] : placedIds;
  noteMissing(lane, roomKey, {
    come,
    missing: placed.flatMap(({ row, settled }) =>
      settled.assessed.missing.map((missingId) => ({
        roomKey,
        missingId,
        eventKey: row.event_key,
        depth: row.depth,
        waits: row.anchor === null,
      })),
    ),
    isNews: write.as === "live" && !settlement.comesAnew,
  });
  noteTakenIn(
    lane,
    placed.flatMap(({ row, settled: { assessed } }) => {
      const { event, missing, outlier } = assessed;
      const filled = outlier ? event.prev_events.filter((id) => !missing.includes(id)) : [];
      return filled.map((missingId) => ({ missingId, eventKey: row.event_key }));
    }),
  );
  noteCome(lane, roomKey, { come, dueMs: hs.now() + TAKE_IN_MS });
}

import type { Change, Outcome, Stream } from "#src/streams/stream.ts";
import {
  beginRedaction,
  redactFound,
  redactionsBetween,
  type RoomPlace,
  type SenderRedaction,
} from "./queries-sender-redactions.ts";

/** The name of the stream, in every `Change` of it. The detail of its changes is a `SenderRedaction`. */
export const SENDER_REDACTIONS = "sender-redactions";

/** A step of redacting what a user has sent: the first says what, the others do it. */
export type RedactionStep = Omit<SenderRedaction, "position"> & {
  readonly found?: {
    readonly eventKeys: readonly number[];
    /** Down to where was looked; undefined if there is no more. */
    readonly down: RoomPlace | undefined;
  };
};

/**
 * What is redacted because its sender was removed from the room. From the first step on all processes show it so;
 * the others make it last.
 */
export const senderRedactionsStream: Stream<RedactionStep, void> = {
  name: SENDER_REDACTIONS,

  async store(_hs, lane, placed) {
    const outcomes: Outcome<void>[] = [];
    for (const { write, position } of placed) {
      const { redactionKey, since, until, found } = write;
      if (found) redactFound(lane, { redactionKey, ...found, position });
      else await beginRedaction(lane, { redactionKey, since, down: until, position });
      const changes = [changeOf({ ...write, position })];
      outcomes.push({ ok: true, result: undefined, changes });
    }
    return outcomes;
  },

  changesBetween: async (sql, after, upTo) =>
    (await redactionsBetween(sql, after, upTo)).map(changeOf),
};

function changeOf({ position, ...detail }: SenderRedaction): Change {
  // Of no room, as far as readers are concerned: there is nothing to tell them but the member event.
  return { position, stream: SENDER_REDACTIONS, detail };
}

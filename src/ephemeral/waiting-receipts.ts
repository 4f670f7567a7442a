import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { EVENTS } from "#src/rooms/event-changes.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import { tailOf } from "#src/streams/tail.ts";
import type { ReceivedReceipt } from "./receipt.ts";

/** How many events are waited for, how many receipts of each wait, and how long. */
const MOST_EVENTS = 5_000;
const MOST_RECEIPTS = 1_000;
const LONGEST_MS = 60_000;

/** What records receipts. */
type Record = (receipts: readonly ReceivedReceipt[]) => Promise<void>;

type Waiting = {
  readonly receipts: ReceivedReceipt[];
  readonly record: Record;
  readonly untilMs: UnixMs;
};

/**
 * Receipts that have overtaken their events, as they do when one server is quicker to tell of the one
 * than another of the other. In memory alone: the user's next receipt says more.
 */
class WaitingReceipts {
  readonly #hs: Homeserver;
  /** In the order in which they came. */
  readonly #byEvent = new Map<EventId, Waiting>();

  constructor(hs: Homeserver) {
    this.#hs = hs;
    tailOf(hs).listen({
      changed: (changes) => {
        if (this.#byEvent.size === 0) return;
        for (const { stream, detail } of changes) {
          if (stream === EVENTS && detail instanceof StoredEvent) this.#came(detail.eventId);
        }
      },
      missed: () => this.#byEvent.clear(),
    });
  }

  add(receipts: readonly ReceivedReceipt[], record: Record): void {
    const now = this.#hs.now();
    for (const receipt of receipts) {
      for (const eventId of receipt.eventIds) this.#wait(eventId, receipt, { record, now });
    }
    for (const [eventId, { untilMs }] of this.#byEvent) {
      if (untilMs > now && this.#byEvent.size <= MOST_EVENTS) break;
      this.#byEvent.delete(eventId);
    }
  }

  #wait(
    eventId: EventId,
    receipt: ReceivedReceipt,
    { record, now }: { record: Record; now: UnixMs },
  ): void {
    const receipts = this.#byEvent.get(eventId)?.receipts;
    if (!receipts) {
      this.#byEvent.set(eventId, { receipts: [receipt], record, untilMs: now + LONGEST_MS });
    } else if (receipts.length < MOST_RECEIPTS) receipts.push(receipt);
  }

  #came(eventId: EventId): void {
    const waiting = this.#byEvent.get(eventId);
    if (!waiting) return;
    this.#byEvent.delete(eventId);
    waiting.record(waiting.receipts).catch((error: unknown) => {
      if (!this.#hs.stopping.aborted) this.#hs.log.warn({ err: error }, "cannot record receipts");
    });
  }
}

export const waitingReceiptsOf = held((hs) => new WaitingReceipts(hs));

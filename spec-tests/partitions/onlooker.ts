import { setTimeout as sleep } from "node:timers/promises";
import type { SyncAnswer } from "../answers.ts";
import { ask, demand } from "../faults/call.ts";
import { idsOf, type Read, walkRoom } from "../faults/walk-room.ts";
import type { Dice } from "../oracle/dice.ts";
import type { Actor } from "./cast.ts";

/** What a client knows of a room that has only been told of it by syncs. */
export type Seen = {
  /** The IDs of events, oldest first, with those of the gaps that it was told of. */
  readonly eventIds: string[];
  /** The IDs of the events of the state, by type and state key. */
  readonly state: Map<string, string>;
};

/** A client that syncs on and on. */
export class Onlooker {
  readonly rooms = new Map<string, Seen>();
  readonly #actor: Actor;
  readonly #dice: Dice;
  #since: string | undefined;

  constructor(actor: Actor, dice: Dice) {
    this.#actor = actor;
    this.#dice = dice;
  }

  /** Syncs until told to end. */
  async followUntil(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const reply = await ask(this.#actor.player.url, this.#request(300));
      if (reply?.status !== 200) throw new Error(`sync: ${reply?.status}`);
      await this.#take(reply.body);
      await sleep(this.#dice.below(150));
    }
  }

  /** Syncs until there is nothing new. */
  async finish(): Promise<void> {
    for (;;) {
      const answer = await demand(this.#actor.player.url, this.#request(0));
      await this.#take(answer);
      if (!answer.rooms?.join) return;
    }
  }

  #request(timeoutMs: number) {
    const filter = {
      presence: { not_types: ["*"] },
      account_data: { not_types: ["*"] },
      room: {
        timeline: { limit: 1 + this.#dice.below(15) },
        ephemeral: { not_types: ["*"] },
        account_data: { not_types: ["*"] },
      },
    };
    const query = new URLSearchParams({
      filter: JSON.stringify(filter),
      timeout: String(timeoutMs),
      ...(this.#since !== undefined && { since: this.#since }),
    });
    const token = this.#actor.user.accessToken;
    return { method: "GET", path: `/v3/sync?${query.toString()}`, token } as const;
  }

  /** @spec client-server-api#get_matrixclientv3sync */
  async #take(answer: SyncAnswer): Promise<void> {
    for (const [roomId, { timeline, state }] of Object.entries(answer.rooms?.join ?? {})) {
      // What has changed may be beside the events.
      if (!timeline) continue;
      const seen = this.rooms.get(roomId);
      const isGap = seen === undefined || timeline.limited;
      const gap = isGap ? await this.#gap(roomId, timeline.prev_batch) : [];
      const { eventIds, state: known } = seen ?? newlySeen();
      this.rooms.set(roomId, { eventIds, state: known });
      eventIds.push(...gap, ...idsOf(timeline.events));
      for (const event of [...(state?.events ?? []), ...timeline.events]) {
        if (event.state_key !== undefined) known.set(slotOf(event), event.event_id);
      }
    }
    this.#since = answer.next_batch;
  }

  async #gap(roomId: string, from: string): Promise<string[]> {
    const token = this.#actor.user.accessToken;
    const read: Read = async (path) =>
      await demand(this.#actor.player.url, { method: "GET", path, token });
    const events = await walkRoom(read, roomId, {
      direction: "b",
      limit: () => 1 + this.#dice.below(20),
      from,
      isPatient: true,
      ...(this.#since !== undefined && { to: this.#since }),
    });
    return idsOf(events).reverse();
  }
}

function newlySeen(): Seen {
  return { eventIds: [], state: new Map() };
}

/** What state an event is, as text. */
export function slotOf({ type, state_key }: { type: string; state_key?: string }): string {
  return `${type} ${state_key}`;
}

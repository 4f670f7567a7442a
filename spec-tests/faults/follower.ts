import { setTimeout as sleep } from "node:timers/promises";
import type { Body, JoinedRoom, SyncAnswer } from "../answers.ts";
import type { Dice } from "../oracle/dice.ts";
import { ask, demand } from "./call.ts";
import type { Device } from "./cast.ts";
import { idsOf, type Read, walkRoom } from "./walk-room.ts";

/** What a client knows that syncs on and on, and fills the gaps that it is told of. */
export class Follower {
  /** The numbers in the messages to the device, by who sent them, in the order in which they came. */
  readonly directs: { sender: string; n: number }[] = [];
  /** The IDs of events, by room ID, oldest first. */
  readonly timelines = new Map<string, string[]>();
  readonly #urls: readonly string[];
  readonly #device: Device;
  readonly #dice: Dice;
  #since: string | undefined;

  constructor(urls: readonly string[], device: Device, dice: Dice) {
    this.#urls = urls;
    this.#device = device;
    this.#dice = dice;
  }

  /** Syncs until told to end, whatever is killed meanwhile. What gets no answer is asked for again. */
  async followUntil(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const reply = await ask(this.#url(), this.#request(200));
      if (reply?.status === 200) await this.#take(reply.body, isOver);
      else if (reply && reply.status > 0 && reply.status < 500) {
        throw new Error(`sync: ${reply.status}`);
      } else await sleep(50);
    }
  }

  /** Syncs until there is nothing new. Everything must be answered. */
  async finish(): Promise<void> {
    for (;;) {
      const answer = await demand(this.#url(), this.#request(0));
      const isQuiet = !answer.rooms?.join && !answer.to_device?.events?.length;
      await this.#take(answer, () => true);
      if (isQuiet) return;
    }
  }

  #url(): string {
    return this.#dice.pick(this.#urls);
  }

  #request(timeoutMs: number) {
    const filter = { room: { timeline: { limit: 1 + this.#dice.below(20) } } };
    const query = new URLSearchParams({
      filter: JSON.stringify(filter),
      timeout: String(timeoutMs),
      ...(this.#since !== undefined && { since: this.#since }),
    });
    const { token } = this.#device;
    return { method: "GET", path: `/v3/sync?${query.toString()}`, token } as const;
  }

  /** Everything of an answer counts, or nothing: it is known only when its gaps are filled. */
  async #take(answer: SyncAnswer, mustAnswer: () => boolean): Promise<void> {
    const joined = Object.entries(answer.rooms?.join ?? {});
    const parts = new Map<string, string[]>();
    for (const [roomId, { timeline }] of joined) {
      if (!timeline) continue;
      const newest = idsOf(timeline.events);
      const known = this.timelines.has(roomId);
      const gap = timeline.limited || !known ? await this.#gap(roomId, timeline, mustAnswer) : [];
      parts.set(roomId, [...gap, ...newest]);
    }
    for (const [roomId, part] of parts) {
      this.timelines.set(roomId, [...(this.timelines.get(roomId) ?? []), ...part]);
    }
    for (const { sender, content } of answer.to_device?.events ?? []) {
      this.directs.push({ sender, n: Number(content["n"]) });
    }
    this.#since = answer.next_batch;
  }

  /** What is between the last sync, or the room's beginning, and a timeline; oldest first. */
  async #gap(
    roomId: string,
    timeline: JoinedRoom["timeline"],
    mustAnswer: () => boolean,
  ): Promise<string[]> {
    const read: Read = async <Said = Body>(path: string) => {
      const { token } = this.#device;
      for (;;) {
        const request = { method: "GET", path, token } as const;
        if (mustAnswer()) return await demand<Said>(this.#url(), request);
        const reply = await ask<Said>(this.#url(), request);
        if (reply?.status === 200) return reply.body;
        await sleep(50);
      }
    };
    const events = await walkRoom(read, roomId, {
      direction: "b",
      limit: () => 1 + this.#dice.below(20),
      from: timeline.prev_batch,
      ...(this.#since !== undefined && { to: this.#since }),
    });
    return idsOf(events).reverse();
  }
}

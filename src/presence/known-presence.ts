import type { Receipt } from "#src/ephemeral/receipt.ts";
import { RECEIPTS } from "#src/ephemeral/receipts-stream.ts";
import { TYPING, type TypingDetail } from "#src/ephemeral/typing-stream.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position, UnixMs } from "#src/homeserver/position.ts";
import { EVENTS } from "#src/rooms/event-changes.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import type { Change } from "#src/streams/stream.ts";
import { tailOf } from "#src/streams/tail.ts";
import { PRESENCE } from "./presence-stream.ts";
import type { Presence } from "./presence.ts";
import { allPresence } from "./queries-presence.ts";

/** A presence, and when it last became news. */
export type KnownPresence = Presence & { readonly position: Position };

/**
 * Who is there, as this process knows it: from the table when it is first asked, then from the stream. When
 * somebody was last seen to do something it sees by itself, in what everybody does.
 */
class PresenceBook {
  readonly #hs: Homeserver;
  readonly #users = new Map<number, KnownPresence>();
  #loaded: Promise<void> | undefined;

  constructor(hs: Homeserver) {
    this.#hs = hs;
    tailOf(hs).listen({
      changed: (changes) => {
        for (const change of changes) this.#heed(change);
      },
      missed: () => {
        this.#loaded = undefined;
      },
    });
  }

  /** Everybody of whom anything is known. */
  async all(): Promise<Iterable<KnownPresence>> {
    await this.#load();
    return this.#users.values();
  }

  async of(userKey: number): Promise<KnownPresence | undefined> {
    await this.#load();
    return this.#users.get(userKey);
  }

  /** The same, as far as it is in memory. */
  peek(userKey: number): KnownPresence | undefined {
    return this.#users.get(userKey);
  }

  async #load(): Promise<void> {
    this.#loaded ??= this.#read();
    await this.#loaded;
  }

  async #read(): Promise<void> {
    try {
      for (const { toldMs: _, ...it } of await allPresence(this.#hs.sql)) this.#put(it);
    } catch (error) {
      this.#loaded = undefined;
      throw error;
    }
  }

  #put(it: KnownPresence): void {
    const known = this.#users.get(it.userKey);
    if (known && known.position >= it.position) return;
    this.#users.set(it.userKey, it);
  }

  #heed({ stream, position, detail }: Change): void {
    if (stream === PRESENCE) {
      this.#put({ ...(detail as Presence), position });
    }
    const userKey = actorIn(stream, detail);
    if (userKey !== undefined) this.#saw(userKey, this.#hs.now());
  }

  #saw(userKey: number, lastActiveMs: UnixMs): void {
    const known = this.#users.get(userKey);
    if (known?.local) this.#users.set(userKey, { ...known, lastActiveMs });
  }
}

/** Who has done something that tells that they are there. */
export function actorIn(stream: string, detail: unknown): number | undefined {
  if (stream === EVENTS && detail instanceof StoredEvent) return detail.senderKey;
  if (stream === RECEIPTS) return (detail as Receipt).userKey;
  if (stream !== TYPING) return undefined;
  const { userKey, untilMs } = detail as TypingDetail;
  return untilMs > 0 ? userKey : undefined;
}

export const presenceBookOf = held((hs) => new PresenceBook(hs));

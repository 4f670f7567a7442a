import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position, UnixMs } from "#src/homeserver/position.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { tailOf } from "#src/streams/tail.ts";
import { write } from "#src/streams/write.ts";
import { typingSince } from "./queries-typing.ts";
import { TYPING, type TypingDetail, typingStream } from "./typing-stream.ts";

/** How much later than the process that was told a process says that a user's time has run out. */
const FOR_OTHERS_MS = 5_000;

/** How long after a failure to say so it is tried again. */
const AGAIN_MS = 5_000;

/** How long ago the time of those may have run out of whose end nobody has told yet. */
const UNTOLD_MS = 5 * 60_000;

type Typist = {
  readonly untilMs: UnixMs;
  readonly position: Position;
  readonly timer: NodeJS.Timeout | undefined;
};

/**
 * Who types in which rooms, as this process knows it: from the table when it is first asked, then from
 * the stream. When somebody's time runs out it says so on the stream, so that clients hear of it; that it
 * does so for what other processes were told, too, helps when one of them has died.
 */
class TypingRooms {
  readonly #hs: Homeserver;
  readonly #rooms = new Map<number, Map<number, Typist>>();
  /** Those that this process was told of, by room and user. */
  readonly #own = new Set<string>();
  #loaded: Promise<void> | undefined;

  constructor(hs: Homeserver) {
    this.#hs = hs;
    tailOf(hs).listen({
      changed: (changes) => {
        for (const { stream, roomKey, detail, position } of changes) {
          if (roomKey === undefined) continue;
          if (stream === TYPING) {
            const { userKey, untilMs } = detail as TypingDetail;
            this.#put(roomKey, userKey, { untilMs, position });
          } else if (detail instanceof StoredEvent && this.#rooms.has(roomKey)) {
            if (isLeaving(detail)) void this.#stop(detail);
          }
        }
      },
      missed: () => {
        this.#loaded = undefined;
      },
    });
    hs.stopping.addEventListener("abort", () => this.#clear());
  }

  /** To be called before a write that says that somebody types, so that this process is the first to tell of its end. */
  isOwn(roomKey: number, userKey: number): void {
    this.#own.add(`${roomKey} ${userKey}`);
  }

  /** The keys of the users who type in a room now, those first who began first. */
  async typingIn(roomKey: number): Promise<readonly number[]> {
    this.#loaded ??= this.#load();
    await this.#loaded;
    const now = this.#hs.now();
    const typists = [...(this.#rooms.get(roomKey) ?? [])];
    return typists.filter(([, it]) => it.untilMs > now).map(([userKey]) => userKey);
  }

  async #load(): Promise<void> {
    try {
      const rows = await typingSince(this.#hs.sql, this.#hs.now() - UNTOLD_MS);
      for (const { roomKey, userKey, ...its } of rows) this.#put(roomKey, userKey, its);
    } catch (error) {
      this.#loaded = undefined;
      throw error;
    }
  }

  #put(roomKey: number, userKey: number, its: { untilMs: UnixMs; position: Position }): void {
    const room = this.#rooms.get(roomKey) ?? new Map<number, Typist>();
    const known = room.get(userKey);
    if (known && known.position >= its.position) return;
    clearTimeout(known?.timer);
    if (its.untilMs === 0) {
      room.delete(userKey);
      this.#own.delete(`${roomKey} ${userKey}`);
    } else {
      room.set(userKey, { ...its, timer: this.#timer(roomKey, userKey, its.untilMs) });
    }
    if (room.size > 0) this.#rooms.set(roomKey, room);
    else this.#rooms.delete(roomKey);
  }

  #timer(roomKey: number, userKey: number, untilMs: UnixMs): NodeJS.Timeout | undefined {
    if (this.#hs.stopping.aborted) return undefined;
    const later = this.#own.has(`${roomKey} ${userKey}`) ? 0 : FOR_OTHERS_MS;
    return this.#wait(roomKey, userKey, Math.max(0, untilMs - this.#hs.now()) + later);
  }

  #wait(roomKey: number, userKey: number, waitMs: number): NodeJS.Timeout {
    return setTimeout(() => void this.#expire(roomKey, userKey), waitMs).unref();
  }

  /** Says that somebody's time has run out; by the clock, which timers are a millisecond ahead of at times. */
  async #expire(roomKey: number, userKey: number): Promise<void> {
    const typist = this.#rooms.get(roomKey)?.get(userKey);
    if (!typist) return;
    const now = this.#hs.now();
    let againMs = typist.untilMs - now;
    if (againMs <= 0) {
      try {
        await write(this.#hs, typingStream, { roomKey, userKey, untilMs: 0, now, ifExpired: true });
        return;
      } catch (error) {
        if (this.#hs.stopping.aborted) return;
        this.#hs.log.warn({ err: error }, "cannot end typing");
        againMs = AGAIN_MS;
      }
    }
    const room = this.#rooms.get(roomKey);
    // What has come meanwhile has a timer of its own.
    if (room?.get(userKey) !== typist) return;
    room.set(userKey, { ...typist, timer: this.#wait(roomKey, userKey, againMs) });
  }

  /** Says that a user who has left a room has stopped typing there. Each process says so; it is told once. */
  async #stop({ roomKey, stateKey }: StoredEvent): Promise<void> {
    try {
      const [userKey] = (await findUserKeys(this.#hs, [stateKey as UserId])).values();
      if (userKey === undefined || !this.#rooms.get(roomKey)?.has(userKey)) return;
      const now = this.#hs.now();
      await write(this.#hs, typingStream, { roomKey, userKey, untilMs: 0, now, ifExpired: false });
    } catch (error) {
      // Their time will run out all the same.
      if (!this.#hs.stopping.aborted) this.#hs.log.warn({ err: error }, "cannot end typing");
    }
  }

  #clear(): void {
    for (const room of this.#rooms.values()) for (const it of room.values()) clearTimeout(it.timer);
    this.#rooms.clear();
  }
}

function isLeaving({ type, stateKey, content }: StoredEvent): boolean {
  return type === "m.room.member" && stateKey !== undefined && content["membership"] !== "join";
}

export const typingRoomsOf = held((hs) => new TypingRooms(hs));

import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { processIdOf } from "#src/streams/presence.ts";
import { tailOf } from "#src/streams/tail.ts";
import { write } from "#src/streams/write.ts";
import type { PresenceAct, SyncingState } from "./decide-presence.ts";
import { actorIn, presenceBookOf } from "./known-presence.ts";
import { presenceStream } from "./presence-stream.ts";
import { IDLE_MS, type PresenceState } from "./presence.ts";

/** All in milliseconds. */
type AttendanceTimes = {
  /** How long after its last sync a client is taken to be there. */
  readonly goneMs: number;
  /** How often it is looked who has gone. */
  readonly lookMs: number;
  /**
   * How often what syncing says of users is told. The first after a calm is told at once; of a morning on
   * which everybody comes, many together.
   */
  readonly tellMs: number;
};

const USUAL_TIMES: AttendanceTimes = { goneMs: 30_000, lookMs: 10_000, tellMs: 5_000 };

/** A client that syncs, or did a moment ago: when, is by the clock that nobody sets. */
type Client = { state: SyncingState; open: number; lastMs: number };

/** A user of whom a client syncs by this process. */
type Attending = {
  readonly clients: Map<number, Client>;
  /** What the streams have been told. */
  told: SyncingState | undefined;
};

/**
 * Who syncs by this process. That costs the sync itself nothing but a look into memory: only when
 * somebody comes, goes, or falls idle is it written.
 */
export class Attendance {
  readonly #hs: Homeserver;
  readonly #times: AttendanceTimes;
  readonly #users = new Map<number, Attending>();
  readonly #untold = new Set<number>();
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #tell: NodeJS.Timeout | undefined;
  #look: NodeJS.Timeout | undefined;

  constructor(hs: Homeserver, times = USUAL_TIMES) {
    this.#hs = hs;
    this.#times = times;
    // It must hear of a change before this does.
    presenceBookOf(hs);
    tailOf(hs).listen({
      changed: (changes) => {
        if (this.#users.size === 0) return;
        for (const { stream, detail } of changes) {
          const userKey = actorIn(stream, detail);
          if (userKey !== undefined) this.#saw(userKey);
        }
      },
      missed: () => {},
    });
    hs.stopping.addEventListener("abort", () => {
      clearTimeout(this.#tell);
      clearInterval(this.#look);
    });
  }

  /** Says that a client begins to sync. @returns what says that it has its answer. */
  arrive(
    { userKey, deviceKey }: { readonly userKey: number; readonly deviceKey: number },
    state: SyncingState,
  ): () => void {
    const user = this.#users.get(userKey) ?? {
      clients: new Map<number, Client>(),
      told: undefined,
    };
    this.#users.set(userKey, user);
    const client = user.clients.get(deviceKey) ?? { state, open: 0, lastMs: 0 };
    user.clients.set(deviceKey, client);
    client.state = state;
    client.open++;
    client.lastMs = performance.now();
    this.#compare(userKey, user);
    this.#look ??= setInterval(() => this.#lookAround(), this.#times.lookMs).unref();
    return () => {
      client.open--;
      client.lastMs = performance.now();
    };
  }

  #compare(userKey: number, user: Attending): void {
    if (stateOf(user) === user.told) return;
    this.#untold.add(userKey);
    const waitMs = Math.max(0, this.#toldAtMs + this.#times.tellMs - performance.now());
    this.#tell ??= setTimeout(() => void this.#tellAll(), waitMs).unref();
  }

  async #tellAll(): Promise<void> {
    this.#tell = undefined;
    this.#toldAtMs = performance.now();
    const userKeys = [...this.#untold];
    this.#untold.clear();
    const processId = processIdOf(this.#hs);
    await Promise.all(
      userKeys.map(async (userKey) => {
        const user = this.#users.get(userKey);
        const state = user && stateOf(user);
        if (user?.told === state && state !== undefined) return;
        if (user) user.told = state;
        await this.#write(userKey, { kind: "sync", processId, state });
      }),
    );
  }

  /** Finds who has gone, and who is idle. */
  #lookAround(): void {
    const goneBefore = performance.now() - this.#times.goneMs;
    for (const [userKey, user] of this.#users) {
      for (const [deviceKey, { open, lastMs }] of user.clients) {
        if (open === 0 && lastMs < goneBefore) user.clients.delete(deviceKey);
      }
      this.#compare(userKey, user);
      if (user.clients.size === 0) this.#users.delete(userKey);
      else this.#seeIdle(userKey);
    }
    if (this.#users.size > 0) return;
    clearInterval(this.#look);
    this.#look = undefined;
  }

  #seeIdle(userKey: number): void {
    const known = presenceBookOf(this.#hs).peek(userKey);
    if (known?.state !== "online" || known.lastActiveMs > this.#hs.now() - IDLE_MS) return;
    void this.#write(userKey, { kind: "idle", lastActiveMs: known.lastActiveMs });
  }

  #saw(userKey: number): void {
    if (!this.#users.has(userKey)) return;
    if (presenceBookOf(this.#hs).peek(userKey)?.state !== "unavailable") return;
    void this.#write(userKey, { kind: "act", atMs: this.#hs.now() });
  }

  /** Never throws: presence is no more than a courtesy. */
  async #write(userKey: number, act: PresenceAct): Promise<void> {
    if (this.#hs.stopping.aborted) return;
    try {
      await write(this.#hs, presenceStream, { userKey, local: true, act, now: this.#hs.now() });
    } catch (error) {
      if (this.#hs.stopping.aborted) return;
      this.#hs.log.warn({ err: error }, "cannot tell who is there");
      const user = this.#users.get(userKey);
      if (act.kind === "sync" && user) user.told = undefined;
    }
  }
}

/** What the clients of a user say together to be. */
function stateOf({ clients }: Attending): SyncingState | undefined {
  let state: SyncingState | undefined;
  for (const client of clients.values()) {
    if (client.state === "online") return "online";
    ({ state } = client);
  }
  return state;
}

const attendanceOf = held((hs) => new Attendance(hs));

/**
 * Takes a client that syncs for there, as it says itself. @returns what says that it has its answer.
 *
 * @spec client-server-api#get_matrixclientv3sync
 */
export function attend(
  hs: Homeserver,
  client: { readonly userKey: number; readonly deviceKey: number },
  state: PresenceState,
): () => void {
  if (state === "offline" || !hs.config.presence.enabled) return () => {};
  return attendanceOf(hs).arrive(client, state);
}

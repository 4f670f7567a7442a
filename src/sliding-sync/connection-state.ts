import { z } from "zod";
import type { Position } from "#src/homeserver/position.ts";
import { type RequiredState, textOf } from "./required-state.ts";

/**
 * Up to where a client has been told of something: to a position; to that of its token (`LIVE`), which says that
 * nothing has happened to it since that the client does not know; or nothing at all (`NOTHING`).
 */
export type Told = Position;

export const LIVE = 0;
export const NOTHING = -1;

/** What a client has been told of a room. */
export type ToldRoom = {
  readonly events: Told;
  /** How many of the newest events it has, without a gap. */
  readonly known: number;
  /** By which of the connection's configurations it was told last: an index in `configs`. */
  readonly config: number;
  readonly isDm: boolean;
  readonly receipts: Told;
  readonly accountData: Told;
  readonly typing: Told;
  readonly profiles: Told;
};

/** What of a room is told apart from the rest. */
export type Aspect = "events" | "receipts" | "accountData" | "typing" | "profiles";

/** What a connection's client has been told of all rooms together. */
export type ToldGlobals = {
  readonly accountData: Told;
  readonly e2ee: Told;
  readonly threads: Told;
  readonly profiles: Told;
};

/**
 * What a client has been told, if it has got the answer with the token that names this. It says nothing of what is
 * live but that it is, so that most answers leave it as it is: what they tell is in the position of their token.
 */
export type ConnectionState = {
  readonly rooms: ReadonlyMap<number, ToldRoom>;
  readonly configs: readonly RequiredState[];
  readonly globals: ToldGlobals;
};

export const NOTHING_TOLD: ConnectionState = {
  rooms: new Map(),
  configs: [],
  globals: { accountData: NOTHING, e2ee: NOTHING, threads: NOTHING, profiles: NOTHING },
};

/** From where a client is to be told of something; undefined if from the beginning. */
export function toldUpTo(told: Told, token: Position | undefined): Position | undefined {
  if (told === NOTHING) return undefined;
  return told === LIVE ? token : told;
}

/** As a client that is told no more of something, which goes on, knows it. */
export function noLongerLive(told: Told, token: Position | undefined): Told {
  return told === LIVE ? (token ?? NOTHING) : told;
}

/** What a connection is told, while an answer is made. */
export class ConnectionDraft {
  readonly #before: ConnectionState;
  readonly #rooms: Map<number, ToldRoom>;
  readonly #configs: RequiredState[];
  readonly #indices: Map<string, number>;
  #globals: ToldGlobals;
  #isChanged = false;

  constructor(before: ConnectionState) {
    this.#before = before;
    this.#rooms = new Map(before.rooms);
    this.#configs = [...before.configs];
    this.#indices = new Map(before.configs.map((it, index) => [textOf(it), index]));
    this.#globals = before.globals;
  }

  roomOf(roomKey: number): ToldRoom | undefined {
    return this.#rooms.get(roomKey);
  }

  get globals(): ToldGlobals {
    return this.#globals;
  }

  configAt(index: number): RequiredState | undefined {
    return this.#configs[index];
  }

  /** The index of a configuration. */
  indexOf(config: RequiredState): number {
    const text = textOf(config);
    let index = this.#indices.get(text);
    if (index === undefined) {
      index = this.#configs.push(config) - 1;
      this.#indices.set(text, index);
    }
    return index;
  }

  setRoom(roomKey: number, told: ToldRoom): void {
    const before = this.#rooms.get(roomKey);
    if (before && isSame(before, told)) return;
    this.#rooms.set(roomKey, told);
    this.#isChanged = true;
  }

  /** Notes of rooms that something has happened to that the client is not told of now. */
  leaveBehind(aspect: Aspect, roomKeys: Iterable<number>, token: Position | undefined): void {
    for (const roomKey of roomKeys) {
      const told = this.#rooms.get(roomKey);
      if (told?.[aspect] !== LIVE) continue;
      this.setRoom(roomKey, { ...told, [aspect]: noLongerLive(LIVE, token) });
    }
  }

  roomKeys(): Iterable<number> {
    return this.#rooms.keys();
  }

  setGlobals(changed: Partial<ToldGlobals>): void {
    const globals = { ...this.#globals, ...changed };
    if (isSame(globals, this.#globals)) return;
    this.#globals = globals;
    this.#isChanged = true;
  }

  /** Forgets the rooms that are none of the user's any more. */
  keepRooms(isThere: (roomKey: number) => boolean): void {
    for (const roomKey of this.#rooms.keys()) {
      if (isThere(roomKey)) continue;
      this.#rooms.delete(roomKey);
      this.#isChanged = true;
    }
  }

  /** The state as it is after the answer: the one before, if the answer has left it as it was. */
  finish(): ConnectionState {
    if (!this.#isChanged) return this.#before;
    const used = new Map<number, number>();
    for (const { config } of this.#rooms.values()) {
      if (!used.has(config)) used.set(config, used.size);
    }
    return {
      rooms: new Map(
        [...this.#rooms].map(([key, it]) => [key, { ...it, config: used.get(it.config) ?? 0 }]),
      ),
      configs: [...used.keys()].flatMap((it) => {
        const config = this.#configs[it];
        return config ? [config] : [];
      }),
      globals: this.#globals,
    };
  }
}

function isSame<T extends Readonly<Record<string, unknown>>>(one: T, other: T): boolean {
  return Object.keys(one).every((key) => one[key] === other[key]);
}

const FIELDS = 9;

/** A state as it is stored: of each room a few numbers. */
export function encodeState({ rooms, configs, globals }: ConnectionState): string {
  const numbers = [...rooms].flatMap(([roomKey, it]) => [
    roomKey,
    it.events,
    it.known,
    it.config,
    it.isDm ? 1 : 0,
    it.receipts,
    it.accountData,
    it.typing,
    it.profiles,
  ]);
  return JSON.stringify({ rooms: numbers, configs, globals });
}

const told = z.int().min(NOTHING);
const element = z.object({ type: z.string().optional(), stateKey: z.string().optional() });
const part = z.object({
  include: z.array(element),
  exclude: z.array(element),
  lazyMembers: z.boolean(),
});

const Stored = z.object({
  rooms: z.array(z.int()),
  configs: z.array(z.array(part)),
  globals: z.object({ accountData: told, e2ee: told, threads: told, profiles: told }),
});

/** Reads a state that was stored; undefined if it was by another version of this program, in another form. */
export function decodeState(text: string): ConnectionState | undefined {
  const { rooms: numbers, configs, globals } = Stored.safeParse(JSON.parse(text)).data ?? {};
  if (!numbers || !configs || !globals || numbers.length % FIELDS !== 0) return undefined;
  const rooms = new Map<number, ToldRoom>();
  for (let at = 0; at < numbers.length; at += FIELDS) {
    const its = numbers.slice(at, at + FIELDS) as [number, ...Numbers];
    const [roomKey, events, known, config, isDm, receipts, accountData, typing, profiles] = its;
    const told = { events, known, config, receipts, accountData, typing, profiles };
    rooms.set(roomKey, { ...told, isDm: isDm === 1 });
  }
  return { rooms, configs, globals };
}

type Numbers = [number, number, number, number, number, number, number, number];

import { setTimeout as sleep } from "node:timers/promises";
import { demand, demandWithin } from "../faults/call.ts";
import type { Dice } from "../oracle/dice.ts";
import type { TestUser } from "../test-user.ts";
import type { Player, Stage } from "./stage.ts";

/** A user, and where. */
export type Actor = {
  readonly user: TestUser;
  readonly player: Player;
  /** Stays in all rooms, may do everything there, and nobody does anything to them. One on each server. */
  readonly isAnchor: boolean;
};

/** Who plays in a trial, and where. */
export type Cast = {
  readonly actors: readonly Actor[];
  /** All anchors are joined to them when it begins. */
  readonly roomIds: readonly string[];
  /** The rooms' versions, by their IDs. */
  readonly versions: ReadonlyMap<string, string>;
};

const ROOMS = 2;
const GUESTS_EACH = 2;

/** How long it may take until all have joined and all servers have heard of that, on a busy machine. */
const PATIENCE_MS = 60_000;

const ROOM_VERSIONS = Array.from({ length: 12 }, (_, index) => String(index + 1));

/** Registers users, and has them make and join rooms of random versions. The network must be well. */
export async function assembleCast({ players }: Stage, dice: Dice): Promise<Cast> {
  const actors = (
    await Promise.all(
      players.map(async (player) => {
        const made: Actor[] = [];
        for (let count = 0; count <= GUESTS_EACH; count++) {
          const isAnchor = count === 0;
          const user = await player.registerUser(isAnchor ? "anchor" : "guest");
          made.push({ user, player, isAnchor });
        }
        return made;
      }),
    )
  ).flat();
  const plans = Array.from({ length: ROOMS }, () => {
    const owner = dice.pick(actors.filter((it) => it.isAnchor));
    const guests = actors.filter((it) => it !== owner && (it.isAnchor || dice.chance(70)));
    const version = dice.pick(ROOM_VERSIONS);
    return { owner, guests, version, request: roomRequest(owner, actors, { version, dice }) };
  });
  const making = plans.map(async ({ owner, guests, version, request }) => {
    const roomId = await owner.user.createRoom(request);
    // One after the other: who comes second hears of it from more than one.
    for (const it of guests) {
      await demandWithin(PATIENCE_MS, it.player.url, joinRequest(it, roomId, owner.player.name));
    }
    return [roomId, version] as const;
  });
  const versions = new Map(await Promise.all(making));
  const roomIds = [...versions.keys()];
  const anchors = actors.filter((it) => it.isAnchor);
  await Promise.all(roomIds.map(async (roomId) => await untilAllAreKnown(roomId, anchors)));
  return { actors, roomIds, versions };
}

/** Waits until each server knows that all anchors are joined: what forks off before that they need not be shown. */
async function untilAllAreKnown(roomId: string, anchors: readonly Actor[]): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  const path = `/v3/rooms/${encodeURIComponent(roomId)}/joined_members`;
  for (const { user, player } of anchors) {
    for (;;) {
      const request = { method: "GET", path, token: user.accessToken } as const;
      const { joined } = await demand(player.url, request);
      if (anchors.every((it) => it.user.userId in joined)) break;
      if (performance.now() > deadline) throw new Error(`${player.name} lacks a join`);
      await sleep(50);
    }
  }
}

/** What makes a room in which some may do much, and some little. */
function roomRequest(
  owner: Actor,
  actors: readonly Actor[],
  { version, dice }: { readonly version: string; readonly dice: Dice },
): object {
  const others = actors.filter((it) => it !== owner);
  const users = new Map(
    others.map((it) => [it.user.userId, it.isAnchor ? 100 : dice.pick([0, 0, 50, 50, 99])]),
  );
  // From version 12 on a creator stands above all levels, and must not be listed.
  if (Number(version) < 12) users.set(owner.user.userId, 100);
  return {
    preset: "public_chat",
    room_version: version,
    power_level_content_override: {
      users: Object.fromEntries(users),
      state_default: dice.pick([0, 50]),
      events: { "m.room.topic": 0, "m.room.name": 50 },
    },
  };
}

export function joinRequest({ user }: Actor, roomId: string, via: string) {
  const query = new URLSearchParams([
    ["via", via],
    ["server_name", via],
  ]);
  const path = `/v3/join/${encodeURIComponent(roomId)}?${query.toString()}`;
  return { method: "POST", path, token: user.accessToken, body: {} } as const;
}

import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName, UserId } from "#src/kit/identifiers.ts";
import {
  type OwnPresence,
  ourUsersThere,
  ourUsersThereIn,
  ownPresence,
} from "#src/presence/presence-for-servers.ts";
import { listenToPresence } from "#src/presence/presence-listeners.ts";
import { serversOwed } from "#src/rooms/room-servers.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import { otherServerOf } from "#src/rooms/user-keys.ts";
import type { Change } from "#src/streams/stream.ts";
import { tailOf } from "#src/streams/tail.ts";
import type { Dispatch } from "./dispatch.ts";
import { presenceEdu } from "./edu-texts.ts";

/** Who is there is told again before others take them for gone, as they do after half an hour. */
const AGAIN_MS = 20 * 60_000;

/** How long after somebody has come to a room it is told who is there: several may come at once. */
const ARRIVED_MS = 1_000;

/** Users of whom one EDU tells. */
const MOST_USERS = 100;

/**
 * Tells other servers who of our users is there: those in a room with them, of what becomes news, again and
 * again, and when they come, or the user does.
 *
 * @spec server-server-api#presence
 */
export function tellPresence(hs: Homeserver, dispatch: Dispatch): void {
  if (!hs.config.presence.enabled) return;
  listenToPresence(hs, async (userKeys) => await tellOf(hs, dispatch, userKeys));
  const again = setInterval(() => {
    attempt(hs, async () => await tellOf(hs, dispatch, await ourUsersThere(hs)));
  }, AGAIN_MS).unref();

  const servers = new Map<ServerName, Set<number>>();
  const ours = new Map<number, Set<number>>();
  let timer: NodeJS.Timeout | undefined;
  tailOf(hs).listen({
    changed(changes) {
      for (const { server, userKey, roomKey } of arrivalsIn(hs, changes)) {
        if (server === undefined) note(ours, userKey, roomKey);
        else note(servers, server, roomKey);
      }
      if (servers.size + ours.size === 0) return;
      timer ??= setTimeout(() => {
        timer = undefined;
        const [others, own] = [[...servers], new Map(ours)];
        servers.clear();
        ours.clear();
        attempt(hs, async () => {
          await welcome(hs, dispatch, others);
          await tellOf(hs, dispatch, [...own.keys()], own);
        });
      }, ARRIVED_MS);
    },
    missed: () => {},
  });
  hs.stopping.addEventListener("abort", () => {
    clearInterval(again);
    clearTimeout(timer);
  });
}

function attempt(hs: Homeserver, act: () => Promise<void>): void {
  act().catch((error: unknown) => {
    // They are told again, or of what becomes news next.
    if (!hs.stopping.aborted) hs.log.warn({ err: error }, "cannot tell servers of presence");
  });
}

/** Who joins rooms, and from which other server, if from one. */
function arrivalsIn(hs: Homeserver, changes: readonly Change[]) {
  return changes.flatMap(({ detail }) => {
    if (!(detail instanceof StoredEvent) || detail.type !== "m.room.member") return [];
    if (detail.content["membership"] !== "join") return [];
    const server = otherServerOf(hs, detail.stateKey as UserId);
    // Whoever joins says so themselves.
    return [{ server, userKey: detail.senderKey, roomKey: detail.roomKey }];
  });
}

function note<K>(arrived: Map<K, Set<number>>, who: K, roomKey: number): void {
  arrived.set(who, (arrived.get(who) ?? new Set()).add(roomKey));
}

/** @param where the rooms of each of which the servers are told; all if it is left out. */
async function tellOf(
  hs: Homeserver,
  dispatch: Dispatch,
  userKeys: readonly number[],
  where?: ReadonlyMap<number, ReadonlySet<number>>,
): Promise<void> {
  const byServer = new Map<ServerName, OwnPresence[]>();
  // As would be owed what comes next: to those too who have come with the last that has come.
  const position = tailOf(hs).position + 1;
  for (const it of await ownPresence(hs, userKeys)) {
    const isToldIn = (roomKey: number) => where?.get(it.userKey)?.has(roomKey) !== false;
    const placed = it.roomKeys.filter(isToldIn).map((roomKey) => ({ roomKey, position }));
    for (const server of await serversOwed(hs, placed)) {
      byServer.set(server, [...(byServer.get(server) ?? []), it]);
    }
  }
  for (const [server, its] of byServer) tellServer(dispatch, server, its);
}

async function welcome(
  hs: Homeserver,
  dispatch: Dispatch,
  arrived: readonly (readonly [ServerName, ReadonlySet<number>])[],
): Promise<void> {
  for (const [server, roomKeys] of arrived) {
    const its = await ownPresence(hs, await ourUsersThereIn(hs, roomKeys));
    tellServer(dispatch, server, its);
  }
}

let told = 0;

function tellServer(dispatch: Dispatch, server: ServerName, its: readonly OwnPresence[]): void {
  for (let from = 0; from < its.length; from += MOST_USERS) {
    const edu = presenceEdu(its.slice(from, from + MOST_USERS).map((it) => it.told));
    // One does not take the place of another, which tells of other users.
    if (edu !== undefined) dispatch.tell([server], `presence ${told++}`, edu);
  }
}

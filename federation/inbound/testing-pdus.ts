/** Rooms of other servers, and servers that say what they know of them. For tests alone. */

import { memberDraft } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { KeyLookup } from "#src/homeserver/remotes.ts";
import type { EventId, ServerName, UserId } from "#src/kit/identifiers.ts";
import { parseVerifyKey, signingKeyFromSeed } from "#src/kit/signed-json.ts";
import type { Sources } from "#src/rooms/holes/sources.ts";
import { receivedRoom, RemoteRoom } from "#src/rooms/received/testing.ts";
import { residentOf } from "./testing-resident.ts";

export const CREATOR: UserId = "@creator:one.test";
export const BOB: UserId = "@bob:two.test";
export const origin = "one.test" as ServerName;

/** The keys with which the servers of a `RemoteRoom` sign; of the others none are found. */
export const keys: KeyLookup = async (questions) =>
  new Map(
    questions.map(({ server }) => {
      const base64 = Buffer.from(
        signingKeyFromSeed("ed25519:1", Buffer.alloc(32, server)).publicKey,
      ).toString("base64");
      const key = parseVerifyKey("ed25519:1", base64);
      if (!key) throw new Error("no key");
      return [
        server,
        new Map([["ed25519:1", { ...key, base64, isOld: false, validUntilTs: 2 ** 50 }]]),
      ];
    }),
  );

/** A server that has all of a room, or all but some events, and says what it was asked. */
export function serverOf(
  remote: RemoteRoom,
  hidden?: ReadonlySet<EventId>,
): Sources["remotes"] & { readonly asked: string[] } {
  const resident = residentOf(remote, hidden);
  const asked: string[] = [];
  const ok = <T>(operation: keyof typeof resident, body: T) => {
    asked.push(operation);
    return { ok: true as const, body };
  };
  return {
    asked,
    getMissingPreviousEvents: async (_server, it) =>
      ok("getMissingPreviousEvents", resident.getMissingPreviousEvents(it)),
    getEventAuth: async (_server, { eventId }) =>
      ok("getEventAuth", resident.getEventAuth(eventId)),
    getRoomStateIds: async (_server, { eventId }) =>
      ok("getRoomStateIds", resident.getRoomStateIds(eventId)),
    getRoomState: async (_server, { eventId }) =>
      ok("getRoomState", resident.getRoomState(eventId)),
    getEvent: async (_server, { eventId }) => ok("getEvent", resident.getEvent(eventId)),
    backfillRoom: async (_server, { from, limit }) =>
      ok("backfillRoom", resident.backfillRoom(from, limit)),
  };
}

/** Servers that cannot be reached. */
const unreachable = async () => ({ ok: false as const, why: "unreachable" as const, cause: 0 });
export const nobody: Sources["remotes"] = {
  getMissingPreviousEvents: unreachable,
  getEventAuth: unreachable,
  getRoomStateIds: unreachable,
  getRoomState: unreachable,
  getEvent: unreachable,
  backfillRoom: unreachable,
};

let rooms = 0;

/** A room in which Bob is, as this server knows it. */
export async function begun(hs: Homeserver, version = "12") {
  const remote = new RemoteRoom(version, `pdu${rooms++}`);
  const last = remote.add(BOB, memberDraft(BOB, "join"), [remote.begin(CREATOR)]);
  return { remote, room: await receivedRoom(hs, remote), last };
}

/** An event as its server sends it. */
export function wireOf(remote: RemoteRoom, id: EventId): Record<string, unknown> {
  return JSON.parse(remote.received(id).json) as Record<string, unknown>;
}

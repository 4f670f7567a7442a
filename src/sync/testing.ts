/** Syncs as their users see them, of two processes on one database. For tests alone. */

import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { inviteUser } from "#src/membership/change-members.ts";
import { createRoom } from "#src/membership/create-room.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { testHomeservers, testUser } from "#src/testing.ts";
import { readSync } from "./read-sync.ts";
import { sinceOf } from "./since.ts";
import type { SyncRequest } from "./sync-request.ts";
import { syncText } from "./sync-text.ts";

export type SyncedEvent = {
  readonly type: string;
  readonly state_key?: string;
  readonly content: Readonly<Record<string, unknown>>;
  readonly event_id: string;
  readonly origin_server_ts: number;
};
export type SyncedRoom = {
  readonly timeline: {
    readonly events: readonly SyncedEvent[];
    readonly limited: boolean;
    readonly prev_batch: string;
  };
  readonly state: { readonly events: readonly SyncedEvent[] };
  readonly state_after?: { readonly events: readonly SyncedEvent[] };
  readonly summary: Readonly<Record<string, unknown>>;
};
export type Synced = {
  readonly next_batch: string;
  readonly rooms?: {
    readonly join?: Readonly<Record<string, SyncedRoom>>;
    readonly leave?: Readonly<Record<string, SyncedRoom>>;
    readonly invite?: Readonly<
      Record<string, { readonly invite_state: { readonly events: readonly SyncedEvent[] } }>
    >;
  };
};

export const everythingOf = (room: SyncedRoom | undefined) => [
  ...(room?.state.events ?? []),
  ...(room?.timeline.events ?? []),
];

export const bodies = (room: SyncedRoom | undefined) =>
  room?.timeline.events.map((it) => it.content["body"]);

/** What a user is told on one of the processes, since a token or from the beginning. */
export async function syncOn(
  on: Homeserver,
  requester: Requester,
  since?: string,
  its: Partial<SyncRequest> = {},
): Promise<unknown> {
  const answer = await readSync(on, {
    requester,
    filter: {},
    ...(since === undefined ? { since } : await sinceOf(on, since)),
    fullState: false,
    stateAfter: undefined,
    ...its,
  });
  return JSON.parse(syncText(answer, {}));
}

export async function openSyncStage() {
  const servers = await testHomeservers(2);
  const [hs, other] = servers.all as [Homeserver, Homeserver];
  let users = 0;

  async function sync(
    user: Requester,
    since?: string,
    its: Partial<SyncRequest> = {},
    on = hs,
  ): Promise<Synced> {
    return (await syncOn(on, user, since, its)) as Synced;
  }

  async function say(user: Requester, roomId: RoomId, body: string, on = hs) {
    const room = await findRoom(on, roomId);
    if (!room) throw new Error("no such room");
    const draft = { type: "m.room.message", content: { msgtype: "m.text", body } };
    return await sendEvent(on, { sender: user, room, draft });
  }

  /** A room that one user has made, and to which another is invited. */
  async function twoInARoom() {
    users++;
    const alice = await testUser(hs, `alice${users}`);
    const bob = await testUser(hs, `bob${users}`);
    const roomId = await createRoom(hs, alice, { preset: "private_chat", name: "Room" });
    await inviteUser(hs, alice, { roomId, target: bob.userId });
    return { roomId, alice, bob };
  }

  return { servers, hs, other, sync, say, twoInARoom };
}

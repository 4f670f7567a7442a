/** Two servers, a user of each, and rooms of the first. For tests alone. */

import type { RoomId, UserId } from "#src/kit/identifiers.ts";
import { allStateAt, currentStateRoot } from "#src/rooms/current-state.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { type Ask, asking, registered } from "#src/testing-http.ts";
import { type FederatedHomeserver, testFederation, type TestFederation } from "../testing.ts";

export type User = { readonly token: string; readonly userId: UserId };

export async function user(ask: Ask, name: string): Promise<User> {
  const { access_token, user_id } = await registered(ask, name);
  return { token: access_token, userId: user_id };
}

/** Two servers that can reach each other, the second with two processes. */
export type TwoServers = {
  readonly federation: TestFederation;
  readonly one: FederatedHomeserver;
  readonly two: FederatedHomeserver;
  readonly onOne: Ask;
  readonly onTwo: Ask;
  /** A user of the first server. */
  readonly alice: User;
  /** A user of the second. */
  readonly bob: User;
};

export type Stage = TwoServers & {
  /** Makes a room of alice's, with an alias. */
  readonly roomOf: (
    further?: object,
  ) => Promise<{ readonly roomId: RoomId; readonly alias: string }>;
};

/** @param gate what the first server waits for before it answers. */
export async function openTwoServers(
  gate?: (uri: string) => Promise<void> | undefined,
): Promise<TwoServers> {
  const federation = await testFederation();
  const one = await federation.open({ host: "hs1.test", ...(gate && { gate }) });
  const two = await federation.open({ host: "hs2.test", processes: 2 });
  const [onOne, onTwo] = [asking(one.hs), asking(two.hs)];
  const [alice, bob] = [await user(onOne, "alice"), await user(onTwo, "bob")];
  return { federation, one, two, onOne, onTwo, alice, bob };
}

export async function openStage(): Promise<Stage> {
  const servers = await openTwoServers();
  const { one, onOne, alice } = servers;
  let rooms = 0;
  return {
    ...servers,
    async roomOf(further = {}) {
      const room_alias_name = `room${rooms++}`;
      const body = { preset: "public_chat", name: "Far away", room_alias_name, ...further };
      const made = await onOne("POST", "createRoom", { token: alice.token, body });
      return { roomId: made.body.room_id as RoomId, alias: `#${room_alias_name}:${one.name}` };
    },
  };
}

/** The rooms that a user is invited to, as a sync tells of them. */
export const invitesOf = async (ask: Ask, { token }: User) =>
  (await ask("GET", "sync", { token })).body.rooms?.invite ?? {};

/** The events of a room's current state, as a server has it. */
export async function stateIds(of: FederatedHomeserver, roomId: RoomId): Promise<string[]> {
  const room = await findRoom(of.hs, roomId);
  const state = await allStateAt(of.hs, await currentStateRoot(of.hs, room?.roomKey ?? 0));
  return state.map((it) => it.eventId).toSorted();
}

export const VERSIONS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];

/** Two servers, of which the second joins rooms of the first without being told of their members. For tests alone. */

import { expect } from "vitest";
import type { RoomId } from "#src/kit/identifiers.ts";
import type { Ask } from "#src/testing-http.ts";
import { openTwoServers, type TwoServers, user, type User } from "./testing.ts";

export type PartialStage = TwoServers & {
  /** A second user of the first server. */
  readonly carol: User;
  /** What the first server waits for before it tells a room's state. */
  gate: PromiseWithResolvers<void> | undefined;
  /** Has bob join a room in which alice, carol and others are, and of whose members he is not told yet. */
  readonly joinPartially: (...others: readonly User[]) => Promise<RoomId>;
  /** @returns the event's ID */
  readonly say: (ask: Ask, by: User, roomId: RoomId, text: string) => Promise<string>;
  /** A sync of bob's. */
  readonly sync: (query?: string, ask?: Ask) => ReturnType<typeof syncOf>;
};

const E = encodeURIComponent;

const syncOf = async (ask: Ask, { token }: User, query: string) =>
  // That he is there would be news to himself.
  (await ask("GET", `sync?set_presence=offline&${query}`, { token })).body;

export async function openPartialStage(): Promise<PartialStage> {
  const servers = await openTwoServers((uri) =>
    uri.includes("/state") ? stage.gate?.promise : undefined,
  );
  const { one, onOne, onTwo, alice, bob } = servers;
  const carol = await user(onOne, "carol");
  const stage: PartialStage = {
    ...servers,
    carol,
    gate: undefined,
    async joinPartially(...others) {
      stage.gate = Promise.withResolvers();
      const body = { preset: "public_chat", name: "Large" };
      const made = await onOne("POST", "createRoom", { token: alice.token, body });
      const roomId = made.body.room_id as RoomId;
      for (const { token } of [carol, ...others]) {
        await onOne("POST", `join/${E(roomId)}`, { token, body: {} });
      }
      const path = `join/${E(roomId)}?via=${E(one.name)}`;
      expect((await onTwo("POST", path, { token: bob.token, body: {} })).status).toBe(200);
      return roomId;
    },
    async say(ask, { token }, roomId, text) {
      const path = `rooms/${E(roomId)}/send/m.room.message/${text}`;
      const sent = await ask("PUT", path, { token, body: { msgtype: "m.text", body: text } });
      expect(sent.status).toBe(200);
      return sent.body.event_id as string;
    },
    sync: async (query = "", ask = onTwo) => await syncOf(ask, bob, query),
  };
  return stage;
}

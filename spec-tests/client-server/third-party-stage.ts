import { randomBytes } from "node:crypto";
import { afterAll } from "vitest";
import type { ClientEvent } from "../answers.ts";
import { runAuthority } from "../run-authority.ts";
import { E, federatingHomeserver } from "../server-server/peer.ts";
import type { TestUser } from "./client.ts";
import { identityServer, listen } from "./identity-server.ts";

/** An address that nobody has bound. */
export const newAddress = () => `${randomBytes(6).toString("hex")}@example.org`;

/** A homeserver and an identity server that it can reach, and a user who makes rooms and invites. */
export async function openThirdPartyStage() {
  const hs = await federatingHomeserver();
  const id = identityServer();
  afterAll(await listen(id, runAuthority().certificate));
  const alice = await hs.registerUser("alice");

  const invite = async (roomId: string, body: object, by: TestUser = alice) =>
    await by.call("POST", `/v3/rooms/${E(roomId)}/invite`, body);

  /** Tells the homeserver that an address is bound. */
  const bind = async (address: string, userId: string) =>
    await hs.request("PUT", "/_matrix/federation/v1/3pid/onbind", {
      body: id.bind(address, userId),
    });

  const room = async (further: object = {}) =>
    await alice.createRoom({ preset: "private_chat", ...further });

  const stateOf = async (roomId: string) =>
    (await alice.call<readonly ClientEvent[]>("GET", `/v3/rooms/${E(roomId)}/state`)).body;

  /** The invitations of addresses that are in a room. */
  const pendingIn = async (roomId: string) =>
    (await stateOf(roomId)).filter((it) => it.type === "m.room.third_party_invite");

  const membershipIn = async (roomId: string, userId: string) =>
    (await stateOf(roomId)).find((it) => it.state_key === userId)?.content.membership;

  const whatWasAsked = () => id.asked.map((it) => it.what);

  /** Has the identity server keep to the specification, and forget what it was asked. */
  const reset = () => {
    id.asked.length = 0;
    id.isValid = true;
    id.algorithms = ["none", "sha256"];
    id.instead = () => undefined;
  };
  return {
    hs,
    id,
    alice,
    bind,
    invite,
    room,
    stateOf,
    pendingIn,
    membershipIn,
    whatWasAsked,
    reset,
  };
}

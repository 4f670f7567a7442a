import { verifyEventSignature } from "#src/events/event-signatures.ts";
import type { Pdu, WireEvent } from "#src/events/pdu.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { parseVerifyKey, type VerifyKey } from "#src/kit/signed-json.ts";
import type { Room } from "../find-room.ts";
import { headOf } from "../received/head-of.ts";
import { isResident } from "../residents.ts";
import { loadState } from "../room-head.ts";
import { isServerIn } from "../room-servers.ts";
import { pairKey, type StatePair } from "../state-slots.ts";

/** Where a room's current state says which server it uses as its policy server. */
export const POLICY: StatePair = ["m.room.policy", ""];

/** The key with which every policy server signs. */
export const POLICY_KEY_ID = "ed25519:policy_server";

/** A server that is asked whether events should be part of a room, and the key of its signatures. */
export type PolicyServer = { readonly server: ServerName; readonly key: VerifyKey };

/**
 * The policy server that a room is using; undefined if it uses none. Mostly without a query.
 *
 * @spec server-server-api#determining-if-a-policy-server-is-enabled-in-a-room
 */
export async function policyServerOf(
  hs: Homeserver,
  room: Room,
): Promise<PolicyServer | undefined> {
  const head = await headOf(hs, room);
  await loadState(hs, hs.sql, head, [POLICY]);
  const event = head.state.get(pairKey(...POLICY));
  if (!event || event.redactedBy !== undefined) return undefined;
  const policy = readPolicyServer(event.content);
  if (!policy) return undefined;
  const isIn =
    policy.server === hs.name
      ? await isResident(hs.sql, room.roomKey)
      : await isServerIn(hs, room.roomKey, policy.server);
  return isIn ? policy : undefined;
}

function readPolicyServer({ via, public_keys }: CanonicalObject): PolicyServer | undefined {
  if (typeof via !== "string" || typeof public_keys !== "object" || public_keys === null) {
    return undefined;
  }
  const { ed25519 } = public_keys as CanonicalObject;
  const key = typeof ed25519 === "string" ? parseVerifyKey(POLICY_KEY_ID, ed25519) : undefined;
  return key && { server: via as ServerName, key };
}

/** Whether an event needs no policy server: only the one that says which server that is. */
export function isExempt({ type, state_key }: Pick<Pdu, "type" | "state_key">): boolean {
  return type === POLICY[0] && state_key === POLICY[1];
}

/**
 * Whether a policy server has signed an event, and so recommends it.
 *
 * @spec server-server-api#validating-policy-server-signatures
 */
export async function isRecommended(
  wire: WireEvent,
  { rules }: Pick<Room, "rules">,
  { server, key }: PolicyServer,
): Promise<boolean> {
  return await verifyEventSignature(wire, rules, server, key);
}

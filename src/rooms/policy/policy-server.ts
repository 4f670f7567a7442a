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
const POLICY: StatePair = ["m.room.policy", ""];

/** Where it did before that was specified (MSC4284), and does in rooms that have not been changed since. */
const OLD_POLICY: StatePair = ["org.matrix.msc4284.policy", ""];

/** The former alone counts if it is there, whatever it says. */
export const POLICIES: readonly StatePair[] = [POLICY, OLD_POLICY];

/** The key with which every policy server signs. */
export const POLICY_KEY_ID = "ed25519:policy_server";

/** A server that is asked whether events should be part of a room, and the key of its signatures. */
export type PolicyServer = {
  readonly server: ServerName;
  readonly key: VerifyKey;
  /** Whether the room knows it by the old name, under which it may be the only one that it knows itself. */
  readonly isOld: boolean;
};

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
  await loadState(hs, hs.sql, head, POLICIES);
  const event = POLICIES.map((it) => head.state.get(pairKey(...it))).find((it) => it);
  if (!event || event.redactedBy !== undefined) return undefined;
  const policy = readPolicyServer(event.type, event.content);
  if (!policy) return undefined;
  const isIn =
    policy.server === hs.name
      ? await isResident(hs.sql, room.roomKey)
      : await isServerIn(hs, room.roomKey, policy.server);
  return isIn ? policy : undefined;
}

function readPolicyServer(type: string, content: CanonicalObject): PolicyServer | undefined {
  const { via, public_keys, public_key } = content;
  const isOld = type === OLD_POLICY[0];
  const keys = typeof public_keys === "object" && public_keys !== null ? public_keys : {};
  const { ed25519 = isOld ? public_key : undefined } = keys as CanonicalObject;
  if (typeof via !== "string" || typeof ed25519 !== "string") return undefined;
  const key = parseVerifyKey(POLICY_KEY_ID, ed25519);
  return key && { server: via as ServerName, key, isOld };
}

/**
 * Whether an event needs no policy server: only the one that says which server that is. By the old name that is none, where
 * the room has one by the new.
 *
 * @spec server-server-api#policy-servers
 */
export function isExempt(
  { type, state_key }: Pick<Pdu, "type" | "state_key">,
  { isOld }: Pick<PolicyServer, "isOld">,
): boolean {
  const exempt = isOld ? POLICIES : [POLICY];
  return exempt.some((it) => it[0] === type && it[1] === state_key);
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

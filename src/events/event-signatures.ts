import { type ServerName, serverNameOf } from "#src/kit/identifiers.ts";
import {
  type Signatures,
  type SigningKey,
  signText,
  type VerifyKey,
  verifySignedText,
  withSignature,
} from "#src/kit/signed-json.ts";
import { signedTextOf } from "./event-hash.ts";
import { isUserId } from "./event-identifiers.ts";
import type { Pdu, WireEvent } from "./pdu.ts";
import type { RoomVersionRules } from "./room-versions.ts";

/** A server that must have signed an event, and what makes it so. */
export type RequiredSignature = {
  readonly server: ServerName;
  /**
   * Without the signature of the sender's server, or of the one that chose the event's ID, an event
   * is dropped; without the authorising user's it is rejected, by rule 5.2.1.
   */
  readonly because: "sender" | "event_id" | "join_authorised_via_users_server";
};

/**
 * The servers whose signatures an event needs. One valid signature of each will do.
 *
 * @spec server-server-api#validating-hashes-and-signatures-on-received-events
 */
export function requiredSignatures(event: Pdu, rules: RoomVersionRules): RequiredSignature[] {
  const required: RequiredSignature[] = [];
  const senderServer = serverNameOf(event.sender);
  // The invitation of a third party is sent by the server that learnt who it is. Its sender is the
  // user who had invited that third party, elsewhere.
  if (!isThirdPartyInvite(event)) required.push({ server: senderServer, because: "sender" });

  if (rules.eventIdFormat === "assigned") {
    const server = event.event_id.slice(event.event_id.indexOf(":") + 1) as ServerName;
    if (server !== senderServer) required.push({ server, because: "event_id" });
  }

  const authoriser = event.content["join_authorised_via_users_server"];
  if (rules.restrictedJoins && event.type === "m.room.member" && isUserId(authoriser)) {
    const server = serverNameOf(authoriser);
    required.push({ server, because: "join_authorised_via_users_server" });
  }
  return required;
}

function isThirdPartyInvite({ type, content }: Pdu): boolean {
  return (
    type === "m.room.member" &&
    content["membership"] === "invite" &&
    Object.hasOwn(content, "third_party_invite")
  );
}

/**
 * Signs an event as `server`, beside the signatures it has.
 *
 * @throws NotCanonicalError
 * @spec server-server-api#adding-hashes-and-signatures-to-outgoing-events
 */
export function signEvent(
  wire: WireEvent,
  rules: RoomVersionRules,
  server: ServerName,
  key: SigningKey,
): WireEvent {
  const signature = signText(Buffer.from(signedTextOf(wire, rules)), key);
  return { ...wire, signatures: withSignature(wire["signatures"], server, [key.keyId, signature]) };
}

/**
 * Whether `server` has signed the event with the key. The arithmetic is done off the event loop.
 *
 * @throws NotCanonicalError unless the event has passed `parsePdu`.
 */
export async function verifyEventSignature(
  wire: WireEvent,
  rules: RoomVersionRules,
  server: ServerName,
  key: VerifyKey,
): Promise<boolean> {
  return await signatureVerifier(wire, signedTextOf(wire, rules))(server, key);
}

/** Verifies one signature of the event that it was made for. */
export type SignatureVerifier = (server: ServerName, key: VerifyKey) => Promise<boolean>;

/**
 * A verifier of an event's signatures, for an event of which that is known already which text they cover, or which
 * wants several.
 *
 * @param signedText its `signedTextOf`.
 */
export function signatureVerifier(wire: WireEvent, signedText: string): SignatureVerifier {
  const text = Buffer.from(signedText);
  return (server, key) => verifySignedText(text, wire["signatures"], [server, key]);
}

/** How long a key is believed to be valid at most, whatever its owner says. */
const LONGEST_VALIDITY_MS = 7 * 24 * 60 * 60 * 1000;

/**
 * Whether a key may have signed an event: in versions that ask, whether it was valid when the event
 * says it was made.
 *
 * @param validUntilTs the key's `valid_until_ts`, or the `expired_ts` of an old key, in milliseconds.
 * @spec rooms/v5#signing-key-validity-period
 */
export function keyIsValidFor(
  rules: RoomVersionRules,
  originServerTs: number,
  validUntilTs: number,
  now: number,
): boolean {
  if (!rules.enforceKeyValidity) return true;
  return Math.min(validUntilTs, now + LONGEST_VALIDITY_MS) >= originServerTs;
}

/** The IDs of the keys with which `server` says to have signed. */
export function signingKeyIdsOf(signatures: Signatures, server: ServerName): string[] {
  return Object.hasOwn(signatures, server) ? Object.keys(signatures[server] ?? {}) : [];
}

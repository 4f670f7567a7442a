import { createHash } from "node:crypto";
import { canonicalText, type Signatures, signed, unpadded } from "../client-server/signing.ts";
import type { Peer } from "./peer.ts";
import type { WirePdu } from "./server-answers.ts";

/** An event with its ID. */
export type Pdu = { readonly id: string; readonly wire: WirePdu };

const sha256 = (object: object) => createHash("sha256").update(canonicalText(object)).digest();

/** Hashes and signs an event. @spec server-server-api#adding-hashes-and-signatures-to-outgoing-events */
export function madePdu(peer: Pick<Peer, "name" | "pair">, event: WirePdu): Pdu {
  const hashed = { ...event, hashes: { sha256: unpadded(sha256(event)) } };
  const wire = { ...hashed, signatures: signaturesOf(peer, hashed) };
  return { id: idOf(wire), wire };
}

/** A peer's signature of an event, beside those that it has. @spec server-server-api#signing-events */
export function signaturesOf(
  { name, pair }: Pick<Peer, "name" | "pair">,
  event: WirePdu,
): Signatures {
  const { signatures = {} } = event;
  const own = signed(redacted(event), name, { name: "1", pair });
  return { ...signatures, [name]: own.signatures[name] ?? {} };
}

/** An event's ID: its reference hash. @spec rooms/v4#event-ids */
export function idOf(event: WirePdu): string {
  return event.event_id ?? `$${sha256(redacted(event)).toString("base64url")}`;
}

const KEPT = [
  "auth_events",
  "depth",
  "event_id",
  "hashes",
  "origin_server_ts",
  "prev_events",
  "room_id",
  "sender",
  "state_key",
  "type",
] as const;

const KEPT_OF_CONTENT: Readonly<Record<string, readonly string[]>> = {
  "m.room.member": ["membership", "join_authorised_via_users_server"],
  "m.room.join_rules": ["join_rule", "allow"],
  "m.room.power_levels": [
    "ban",
    "events",
    "events_default",
    "invite",
    "kick",
    "redact",
    "state_default",
    "users",
    "users_default",
  ],
  "m.room.history_visibility": ["history_visibility"],
  "m.room.redaction": ["redacts"],
};

/** What is left of an event when it is redacted, but for its signatures. @spec rooms/v11#redactions */
export function redacted(event: WirePdu): WirePdu {
  const { type, content } = event;
  const kept = KEPT_OF_CONTENT[type] ?? [];
  const left = KEPT.filter((key) => event[key] !== undefined).map((key) => [key, event[key]]);
  return {
    ...Object.fromEntries(left),
    content: type === "m.room.create" ? content : { ...only(content, kept), ...signedOf(content) },
  };
}

function only(object: Readonly<Record<string, unknown>>, keys: readonly string[]): object {
  return Object.fromEntries(keys.filter((it) => it in object).map((it) => [it, object[it]]));
}

type MemberContent = {
  readonly membership?: string;
  readonly third_party_invite?: { readonly signed?: object };
};

/** Of an invitation by an address, what an identity server has signed. */
function signedOf({ membership, third_party_invite: invite }: MemberContent): object {
  const isIt = membership !== undefined && invite?.signed !== undefined;
  return isIt ? { third_party_invite: { signed: invite.signed } } : {};
}

import { checkContentHash } from "#src/events/event-hash.ts";
import {
  keyIsValidFor,
  type RequiredSignature,
  requiredSignatures,
  signatureVerifier,
  signingKeyIdsOf,
} from "#src/events/event-signatures.ts";
import { type ParsedPdu, parsePdu, pduOf } from "#src/events/parse-pdu.ts";
import type { Pdu } from "#src/events/pdu.ts";
import { redact } from "#src/events/redact.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import { wireText } from "#src/events/wire-text.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { KeyLookup, KeyQuestion, KnownKeys } from "#src/homeserver/remotes.ts";
import { slices } from "#src/homeserver/slices.ts";
import type { EventId, ServerName } from "#src/kit/identifiers.ts";
import type { ReceivedEvent } from "./received-event.ts";

/** An event that has passed the checks 1 to 3; or which of them it failed: then it is as if it had never come. */
export type CheckedPdu =
  | { readonly ok: true; readonly received: ReceivedEvent }
  | {
      readonly ok: false;
      readonly check: 1 | 2;
      readonly reason: string;
      /** If it could be read. */
      readonly eventId?: EventId;
      /** The event, if it may be signed after all, by keys that cannot be had now. */
      readonly undecided?: Pick<ReceivedEvent, "event" | "json">;
    };

export type CheckSetting = {
  readonly rules: RoomVersionRules;
  readonly keys: KeyLookup;
  readonly now: UnixMs;
  /** Whether they are history, which may name more events than new ones may. */
  readonly isHistory?: true;
};

type Parsed = Pick<Extract<ParsedPdu, { ok: true }>, "event" | "wire" | "json" | "signedText">;

/** Of how many events signatures are verified at once: who wants to know of one other does not wait for all of a large room's. */
const MOST_AT_ONCE = 200;

/**
 * The first three checks on receipt, for many events of one room: the keys of all are asked for at once,
 * and signatures are verified off the event loop, which is left to others every few milliseconds.
 *
 * @returns what became of each, in their order.
 * @spec server-server-api#checks-performed-on-receipt-of-a-pdu
 */
export async function checkPdus(
  pdus: readonly unknown[],
  setting: CheckSetting,
): Promise<CheckedPdu[]> {
  // 1. Is a valid event, otherwise it is dropped.
  const parsed: (Parsed | CheckedPdu)[] = [];
  const pause = slices();
  for (const it of pdus) {
    parsed.push(readPdu(it, setting));
    const wait = pause();
    if (wait) await wait;
  }
  const keys = await setting.keys(questionsFor(parsed, setting.rules));
  const checked: CheckedPdu[] = [];
  for (let at = 0; at < parsed.length; at += MOST_AT_ONCE) {
    const some = parsed.slice(at, at + MOST_AT_ONCE);
    checked.push(
      ...(await Promise.all(
        some.map(async (it) => ("ok" in it ? it : await checkOne(it, keys, setting))),
      )),
    );
  }
  return checked;
}

function readPdu(value: unknown, { rules, isHistory }: CheckSetting): Parsed | CheckedPdu {
  const it = parsePdu(value, rules, { ...(isHistory && { mayNameMany: isHistory }) });
  if (!it.ok) return { ok: false, check: 1, reason: it.reason };
  const { event, wire, json, signedText } = it;
  if (hasNul(event)) return { ok: false, check: 1, reason: "a NUL in what names it" };
  return { event, wire, json, signedText };
}

/** Whether an event is named, or names others, in a way that no database of ours can hold; nobody's does. */
function hasNul({ event_id, room_id, type, state_key, sender, redacts, ...event }: Pdu): boolean {
  const names = [event_id, room_id, type, state_key, sender, redacts];
  return [...names, ...event.prev_events, ...event.auth_events].some((it) => it?.includes("\0"));
}

/** Which keys are needed: for each server those that its signatures name. */
function questionsFor(
  parsed: readonly (Parsed | CheckedPdu)[],
  rules: RoomVersionRules,
): KeyQuestion[] {
  const asked = new Map<ServerName, { keyIds: Set<string>; validAt: UnixMs }>();
  for (const it of parsed) {
    if ("ok" in it) continue;
    for (const { server } of requiredSignatures(it.event, rules)) {
      const own = asked.get(server) ?? { keyIds: new Set(), validAt: 0 };
      asked.set(server, own);
      for (const id of signingKeyIdsOf(it.event.signatures, server)) own.keyIds.add(id);
      if (rules.enforceKeyValidity) {
        own.validAt = Math.max(own.validAt, it.event.origin_server_ts);
      }
    }
  }
  return [...asked].map(([server, { keyIds, validAt }]) => ({
    server,
    keyIds: [...keyIds],
    validAt,
  }));
}

async function checkOne(
  { event, wire, json, signedText }: Parsed,
  keys: ReadonlyMap<ServerName, KnownKeys>,
  setting: CheckSetting,
): Promise<CheckedPdu> {
  const { rules } = setting;
  // 2. Passes signature checks, otherwise it is dropped.
  const lacking = await lackingSignatures({ event, wire, signedText }, keys, setting);
  // Of a join that is perhaps signed by who authorised it nothing can be said for good before the key is there.
  const fatal = lacking.filter(
    (it) => it.because !== "join_authorised_via_users_server" || it.isUndecided,
  );
  const [first] = fatal;
  if (first) {
    const reason = `not signed by the server of its ${first.because}`;
    const undecided = fatal.every((it) => it.isUndecided) && { undecided: { event, json } };
    return { ok: false, check: 2, reason, eventId: event.event_id, ...undecided };
  }
  const unauthorised = lacking.length > 0 && { lacksAuthorisersSignature: true as const };

  // 3. Passes hash checks, otherwise it is redacted before being processed further.
  if (checkContentHash(wire)) return { ok: true, received: { event, json, ...unauthorised } };
  const redacted = redact(wire, rules);
  return {
    ok: true,
    received: {
      event: pduOf(event.event_id, redacted, rules),
      json: wireText(redacted, rules),
      ...unauthorised,
    },
  };
}

/** A signature that an event needs and has not got; or perhaps has, by a key that we do not have. */
type Lacking = RequiredSignature & { readonly isUndecided: boolean };

async function lackingSignatures(
  { event, wire, signedText }: Omit<Parsed, "json">,
  keys: ReadonlyMap<ServerName, KnownKeys>,
  { rules, now }: CheckSetting,
): Promise<Lacking[]> {
  const required = requiredSignatures(event, rules);
  if (required.length === 0) return [];
  const verify = signatureVerifier(wire, signedText);
  const lacking: Lacking[] = [];
  for (const it of required) {
    const isSigned = await isSignedBy(it.server);
    if (isSigned !== true) lacking.push({ ...it, isUndecided: isSigned === undefined });
  }
  return lacking;

  /** @returns undefined if it may be, by a key that is not there. */
  async function isSignedBy(server: ServerName): Promise<boolean | undefined> {
    let isUndecided = false;
    for (const id of signingKeyIdsOf(event.signatures, server)) {
      const key = keys.get(server)?.get(id);
      if (!key || !keyIsValidFor(rules, event.origin_server_ts, key.validUntilTs, now)) {
        isUndecided = true;
      } else if (await verify(server, key)) return true;
    }
    return isUndecided ? undefined : false;
  }
}

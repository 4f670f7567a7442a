import type { WireEvent } from "#src/events/pdu.ts";
import type { AskOptions } from "#src/homeserver/ask-options.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RemoteAnswer } from "#src/homeserver/remotes.ts";
import { withSignature } from "#src/kit/signed-json.ts";
import type { Room } from "../find-room.ts";
import { isRecommended, POLICY_KEY_ID, type PolicyServer } from "./policy-server.ts";

/** An event with the signature of the room's policy server; or what that said, if it does not sign. */
export type PolicySigned =
  | { readonly ok: true; readonly wire: WireEvent }
  | { readonly ok: false; readonly answer: Unsigned };

export type Unsigned = Extract<RemoteAnswer<never>, { ok: false }>;

/** How long a policy server may take: a sender waits for it. */
const TIMEOUT_MS = 10_000;

/**
 * Asks a room's policy server to sign an event.
 *
 * @spec server-server-api#asking-for-a-policy-server-signature-on-an-event
 */
export async function askToSign(
  hs: Homeserver,
  { room, policy }: { readonly room: Room; readonly policy: PolicyServer },
  wire: WireEvent,
  options: AskOptions = {},
): Promise<PolicySigned> {
  const { server, isOld } = policy;
  const asking = { timeoutMs: TIMEOUT_MS, ...options };
  const answer = await hs.remotes.askPolicyServerToSign(server, { event: wire, isOld }, asking);
  if (!answer.ok) return { ok: false, answer };
  const signature = answer.body.get(server)?.get(POLICY_KEY_ID);
  // It may be the sender's server too: what that has signed stays.
  const signed = signature !== undefined && {
    ...wire,
    signatures: withSignature(wire["signatures"], server, [POLICY_KEY_ID, signature]),
  };
  if (signed && (await isRecommended(signed, room, policy))) return { ok: true, wire: signed };
  const cause = new Error("no valid signature");
  return { ok: false, answer: { ok: false, why: "malformed", cause } };
}

/** Whether a policy server has said nothing of an event, and may another time: it is away, or does not want to be asked now. */
export function isSilence(answer: Unsigned): boolean {
  if (answer.why !== "refused") return answer.why === "unreachable";
  const { status, errcode } = answer;
  return status >= 500 || status === 429 || errcode === "M_LIMIT_EXCEEDED";
}

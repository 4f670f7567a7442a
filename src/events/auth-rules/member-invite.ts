import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { AuthState } from "./auth-state.ts";
import type { MemberEvent } from "./member-event.ts";
import { isSignedForInvite } from "./third-party-signature.ts";
import { allow, reject, type Verdict } from "./verdict.ts";

/**
 * Rule 5.4: an `m.room.member` event with the membership `invite`.
 *
 * @spec rooms/v12#authorisation-rules 5.4
 */
export function checkMemberInvite(event: MemberEvent, state: AuthState): Verdict {
  // 5.4.1 If content has a third_party_invite property:
  if (Object.hasOwn(event.content, "third_party_invite")) {
    return checkThirdPartyInvite(event, state);
  }

  // 5.4.2 If the sender's current membership state is not join, reject.
  if (state.membershipOf(event.sender) !== "join") return reject("5.4.2", "sender is not joined");

  // 5.4.3 If target user's current membership state is join or ban, reject.
  const target = state.membershipOf(event.state_key);
  if (target === "join" || target === "ban") {
    return reject("5.4.3", `target user's membership is ${target}`);
  }

  // 5.4.4 If the sender's power level is greater than or equal to the invite level, allow.
  if (state.levels.powerOf(event.sender) >= state.levels.named("invite")) return allow("5.4.4");

  // 5.4.5 Otherwise, reject.
  return reject("5.4.5", "sender may not invite");
}

/** @spec rooms/v12#authorisation-rules 5.4.1 */
function checkThirdPartyInvite(event: MemberEvent, state: AuthState): Verdict {
  // 5.4.1.1 If target user is banned, reject.
  if (state.membershipOf(event.state_key) === "ban") {
    return reject("5.4.1.1", "target user is banned");
  }

  // 5.4.1.2 If content.third_party_invite does not have a signed property, reject.
  const invite = event.content["third_party_invite"];
  const signed = isObject(invite) ? invite["signed"] : undefined;
  if (!isObject(signed)) return reject("5.4.1.2", "nothing is signed");

  // 5.4.1.3 If signed does not have mxid and token properties, reject.
  const { mxid, token } = signed;
  if (mxid === undefined || typeof token !== "string") {
    return reject("5.4.1.3", "no mxid or no token is signed");
  }

  // 5.4.1.4 If mxid does not match state_key, reject.
  if (mxid !== event.state_key) return reject("5.4.1.4", "mxid does not match state_key");

  // 5.4.1.5 If there is no m.room.third_party_invite event in the current room state with state_key
  //         matching token, reject.
  const invitation = state.lookup("m.room.third_party_invite", token);
  if (!invitation) return reject("5.4.1.5", "no third party invite for the token");

  // 5.4.1.6 If sender does not match sender of the m.room.third_party_invite, reject.
  if (event.sender !== invitation.sender) {
    return reject("5.4.1.6", "sender is not that of the third party invite");
  }

  // 5.4.1.7 If any signature in signed matches any public key in the m.room.third_party_invite event,
  //         allow.
  if (isSignedForInvite(signed, invitation.content)) return allow("5.4.1.7");

  // 5.4.1.8 Otherwise, reject.
  return reject("5.4.1.8", "no signature by a key of the third party invite");
}

function isObject(value: unknown): value is CanonicalObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

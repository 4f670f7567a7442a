import { isUserId } from "../event-identifiers.ts";
import type { Pdu } from "../pdu.ts";
import type { RoomVersionRules } from "../room-versions.ts";
import type { AuthState } from "./auth-state.ts";
import { isMemberEvent, type MemberEvent } from "./member-event.ts";
import { checkMemberInvite } from "./member-invite.ts";
import { checkMemberJoin } from "./member-join.ts";
import { checkMemberBan, checkMemberLeave } from "./member-leave.ts";
import { allow, reject, type Verdict } from "./verdict.ts";

/**
 * Rule 5: an `m.room.member` event.
 *
 * @spec rooms/v12#authorisation-rules 5
 */
export function checkMember(event: Pdu, state: AuthState, rules: RoomVersionRules): Verdict {
  // 5.1 If there is no state_key property, or no membership property in content, reject.
  if (!isMemberEvent(event)) return reject("5.1", "no state_key");
  if (!Object.hasOwn(event.content, "membership")) return reject("5.1", "no membership");
  const membership: unknown = event.content["membership"];

  // 5.2 (since v8) If content has a join_authorised_via_users_server key:
  if (rules.restrictedJoins && Object.hasOwn(event.content, "join_authorised_via_users_server")) {
    // 5.2.1 If the event is not validly signed by the homeserver of that user ID, reject. (What is no
    //       user ID has no server that could have signed. Who asks of others has the keys.)
    if (!isUserId(event.content["join_authorised_via_users_server"])) {
      return reject("5.2.1", "the authorising user is no user ID");
    }
  }

  switch (membership) {
    case "join": // 5.3
      return checkMemberJoin(event, state, rules);
    case "invite": // 5.4
      return checkMemberInvite(event, state);
    case "leave": // 5.5
      return checkMemberLeave(event, state, rules);
    case "ban": // 5.6
      return checkMemberBan(event, state);
    case "knock": // 5.7 (since v7)
      if (rules.knocking) return checkMemberKnock(event, state, rules);
      break;
    default:
  }

  // 5.8 Otherwise, the membership is unknown. Reject.
  return reject("5.8", "unknown membership");
}

/**
 * Rule 5.7: `knock`.
 *
 * @spec rooms/v12#authorisation-rules 5.7
 */
function checkMemberKnock(event: MemberEvent, state: AuthState, rules: RoomVersionRules): Verdict {
  const joinRule = state.joinRule();

  // 5.7.1 If the join_rule is anything other than knock or (since v10) knock_restricted, reject.
  const knockable =
    joinRule === "knock" || (rules.knockRestrictedJoins && joinRule === "knock_restricted");
  if (!knockable) return reject("5.7.1", "the join_rule lets nobody knock");

  // 5.7.2 If sender does not match state_key, reject.
  if (event.sender !== event.state_key) return reject("5.7.2", "sender does not match state_key");

  // 5.7.3 If the sender's current membership is not ban, invite, or join, allow.
  const membership = state.membershipOf(event.sender);
  if (membership !== "ban" && membership !== "invite" && membership !== "join") {
    return allow("5.7.3");
  }

  // 5.7.4 Otherwise, reject.
  return reject("5.7.4", `sender's membership is ${membership}`);
}

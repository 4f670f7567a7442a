import type { RoomVersionRules } from "../room-versions.ts";
import type { AuthState } from "./auth-state.ts";
import type { MemberEvent } from "./member-event.ts";
import { allow, reject, type Verdict } from "./verdict.ts";

/**
 * Rule 5.5: an `m.room.member` event with the membership `leave`. By the target user it is leaving,
 * or declining an invite; by another a kick, or the end of a ban.
 *
 * @spec rooms/v12#authorisation-rules 5.5
 */
export function checkMemberLeave(
  event: MemberEvent,
  state: AuthState,
  rules: RoomVersionRules,
): Verdict {
  const { levels } = state;
  const membership = state.membershipOf(event.sender);

  // 5.5.1 If the sender matches state_key, allow if and only if that user's current membership state
  //       is invite, join, or (since v7) knock.
  if (event.sender === event.state_key) {
    const present =
      membership === "invite" ||
      membership === "join" ||
      (rules.knocking && membership === "knock");
    return present ? allow("5.5.1") : reject("5.5.1", `sender's membership is ${membership}`);
  }

  // 5.5.2 If the sender's current membership state is not join, reject.
  if (membership !== "join") return reject("5.5.2", "sender is not joined");

  // 5.5.3 If the target user's current membership state is ban, and the sender's power level is less
  //       than the ban level, reject.
  const power = levels.powerOf(event.sender);
  if (state.membershipOf(event.state_key) === "ban" && power < levels.named("ban")) {
    return reject("5.5.3", "sender may not unban");
  }

  // 5.5.4 If the sender's power level is greater than or equal to the kick level, and the target
  //       user's power level is less than the sender's power level, allow.
  if (power >= levels.named("kick") && levels.powerOf(event.state_key) < power) {
    return allow("5.5.4");
  }

  // 5.5.5 Otherwise, reject.
  return reject("5.5.5", "sender may not kick the target user");
}

/**
 * Rule 5.6: an `m.room.member` event with the membership `ban`.
 *
 * @spec rooms/v12#authorisation-rules 5.6
 */
export function checkMemberBan(event: MemberEvent, state: AuthState): Verdict {
  const { levels } = state;
  // 5.6.1 If the sender's current membership state is not join, reject.
  if (state.membershipOf(event.sender) !== "join") return reject("5.6.1", "sender is not joined");

  // 5.6.2 If the sender's power level is greater than or equal to the ban level, and the target user's
  //       power level is less than the sender's power level, allow.
  const power = levels.powerOf(event.sender);
  if (power >= levels.named("ban") && levels.powerOf(event.state_key) < power) {
    return allow("5.6.2");
  }

  // 5.6.3 Otherwise, reject.
  return reject("5.6.3", "sender may not ban the target user");
}

import type { Verdict } from "#src/events/auth-rules/verdict.ts";
import { requiredSignatures } from "#src/events/event-signatures.ts";
import type { Pdu } from "#src/events/pdu.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";

/** The rules by which power levels are rejected for what they say, whoever sends them. */
const OF_THE_CONTENT = new Set(["10.1", "10.2", "10.3", "10.4"]);

/**
 * How the sender of an event is told that a room's rules reject it.
 *
 * @spec client-server-api#put_matrixclientv3roomsroomidstateeventtypestatekey
 */
export function refusalOf({ rule, reason }: Extract<Verdict, { allowed: false }>): MatrixError {
  const errcode = OF_THE_CONTENT.has(rule) ? "M_INVALID_PARAM" : "M_FORBIDDEN";
  return new MatrixError(errcode, `Not allowed by rule ${rule}: ${reason}`);
}

/** Whether an error is such a refusal. */
export function isRefusal({ errcode }: MatrixError): boolean {
  return errcode === "M_FORBIDDEN" || errcode === "M_INVALID_PARAM";
}

/**
 * Refuses a join that says that another server let the user in: we cannot sign for that.
 *
 * @throws MatrixError M_FORBIDDEN
 * @spec rooms/v12#authorisation-rules 5.2.1
 */
export function requireOwnAuthoriser(event: Pdu, rules: RoomVersionRules, own: ServerName): void {
  if (event.type !== "m.room.member") return;
  const isForeign = requiredSignatures(event, rules).some(
    (it) => it.because === "join_authorised_via_users_server" && it.server !== own,
  );
  if (isForeign) {
    throw refusalOf({ allowed: false, rule: "5.2.1", reason: "another server has to sign" });
  }
}

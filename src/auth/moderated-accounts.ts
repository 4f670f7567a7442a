import { MatrixError } from "#src/kit/matrix-error.ts";
import type { OperationId } from "#src/kit/operation-ids.ts";

/** All that a locked account may do. @spec client-server-api#account-locking */
const WHILE_LOCKED: ReadonlySet<OperationId> = new Set(["logout", "logout_all"]);

/**
 * What a suspended account may not do: whatever others would see of it. Who may redact what is decided
 * where the redacted event is known.
 *
 * @spec client-server-api#account-suspension
 */
const NOT_WHILE_SUSPENDED: ReadonlySet<OperationId> = new Set([
  "ban",
  "createRoom",
  "deleteProfileField",
  "deleteRoomAlias",
  "inviteBy3PID",
  "inviteUser",
  "joinRoom",
  "joinRoomById",
  "kick",
  "knockRoom",
  "scheduleDelayedEvent",
  "sendMessage",
  "sendMessageAnew",
  "setPresence",
  "setProfileField",
  "setRoomAlias",
  "setRoomStateWithKey",
  "setRoomVisibilityOnDirectory",
  "setTyping",
  "unban",
  "deleteAppserviceRoomDirectoryVisibility",
  "updateAppserviceRoomDirectoryVisibility",
  "upgradeRoom",
]);

/**
 * Refuses what an account may not do while administrators have locked or suspended it.
 *
 * @throws MatrixError M_USER_LOCKED, M_USER_SUSPENDED.
 */
export function requireUnmoderated(
  account: { readonly isLocked: boolean; readonly isSuspended: boolean },
  operation: OperationId,
): void {
  if (account.isLocked && !WHILE_LOCKED.has(operation)) throw userLocked();
  if (account.isSuspended && NOT_WHILE_SUSPENDED.has(operation)) {
    throw new MatrixError("M_USER_SUSPENDED", "This account has been suspended");
  }
}

/** @spec client-server-api#account-locking */
export function userLocked(): MatrixError {
  const fields = { soft_logout: true };
  return new MatrixError("M_USER_LOCKED", "This account has been locked", { fields });
}

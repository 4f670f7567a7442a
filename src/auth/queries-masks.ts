import type { Queryable } from "#src/homeserver/database.ts";
import type { UserId } from "#src/kit/identifiers.ts";

/** An account that an application service speaks for. */
export type MaskedRow = {
  readonly userKey: number;
  /** Null if the account has no such device. */
  readonly deviceKey: number | null;
  readonly isAdmin: boolean;
  readonly isGuest: boolean;
  readonly isLocked: boolean;
  readonly isSuspended: boolean;
  readonly isDeactivated: boolean;
};

/** The account of a user, and its device of an ID. */
export async function findMasked(
  sql: Queryable,
  { userId, deviceId }: { readonly userId: UserId; readonly deviceId: string },
): Promise<MaskedRow | undefined> {
  const [row] = await sql<MaskedRow[]>`
    select accounts.user_key as "userKey", device_key as "deviceKey", is_admin as "isAdmin",
      is_guest as "isGuest", is_locked as "isLocked", is_suspended as "isSuspended",
      deactivated_at_ms is not null as "isDeactivated"
    from users join accounts using (user_key)
    left join devices on devices.user_key = accounts.user_key and device_id = ${deviceId}
    where user_id = ${userId}`;
  return row;
}

import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { OperationId } from "#src/kit/operation-ids.ts";

/**
 * What a user who has just proved who they are may do without proving it again. What ends an account, or lets others into
 * it, is not among it.
 */
const REUSING: ReadonlySet<OperationId> = new Set([
  "deleteDevice",
  "deleteDevices",
  "uploadCrossSigningKeys",
]);

/** Whether an operation need not be proved again, since it was a short while ago that somebody proved at the device who they are. */
export async function isProvedLately(
  hs: Homeserver,
  deviceKey: number | undefined,
  operation: OperationId,
): Promise<boolean> {
  const { authenticationReuseMs } = hs.config.sessions;
  const isReused = authenticationReuseMs > 0 && REUSING.has(operation);
  if (!isReused || deviceKey === undefined) return false;
  const [row] = await hs.sql<{ isProved: boolean }[]>`
    select coalesce(proved_ms > ${hs.now() - authenticationReuseMs}, false) as "isProved"
    from devices where device_key = ${deviceKey}`;
  return row?.isProved ?? false;
}

/** Notes that somebody has proved at a device who they are. */
export async function noteProved(hs: Homeserver, deviceKey: number | undefined): Promise<void> {
  if (hs.config.sessions.authenticationReuseMs === 0 || deviceKey === undefined) return;
  await hs.sql`update devices set proved_ms = ${hs.now()} where device_key = ${deviceKey}`;
}

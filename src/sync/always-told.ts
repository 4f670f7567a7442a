import { keyCountsOf } from "#src/encryption/key-counts.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";

/** What every sync tells a device, whatever has happened. */
export async function alwaysTold(
  hs: Homeserver,
  requester: Requester,
): Promise<Readonly<Record<string, unknown>>> {
  return await keyCountsOf(hs, requester.deviceKey);
}

import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";

/** What every sync tells a device, whatever has happened. */
export async function alwaysTold(
  _hs: Homeserver,
  _requester: Requester,
): Promise<Readonly<Record<string, unknown>>> {
  return {};
}

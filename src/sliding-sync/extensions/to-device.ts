import { acknowledgeToDevice, readQueue } from "#src/devices/to-device-queue.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { sinceOf } from "#src/sync/since.ts";
import { syncTokenOf } from "#src/timeline/token.ts";
import type { Around, Extension } from "./extension.ts";

/** MSC3885: messages to the device, which acknowledges them by a token of their own. */
export async function toDeviceExtension(
  hs: Homeserver,
  { request: { requester, extensions }, upTo }: Around,
): Promise<Extension | undefined> {
  const asked = extensions.to_device;
  if (!asked?.enabled) return undefined;
  const { since = 0 } = asked.since === undefined ? {} : await sinceOf(hs, asked.since);
  await acknowledgeToDevice(hs, requester.deviceKey, since);
  const { limit } = asked;
  const range = { after: since, upTo, ...(limit !== undefined && { limit }) };
  const { events, cutAt } = await readQueue(hs, requester.deviceKey, range);
  const next_batch = syncTokenOf(cutAt ?? Math.max(upTo, since), undefined);
  return { value: { next_batch, events }, isNews: events.length > 0 };
}

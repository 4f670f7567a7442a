import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { accountDataExtension } from "./extensions/account-data.ts";
import { e2eeExtension } from "./extensions/e2ee.ts";
import type { Around, Extension, ExtensionReader } from "./extensions/extension.ts";
import { profilesExtension } from "./extensions/profiles.ts";
import { receiptsExtension } from "./extensions/receipts.ts";
import { stickyEventsExtension } from "./extensions/sticky-events.ts";
import { threadSubscriptionsExtension } from "./extensions/thread-subscriptions.ts";
import { toDeviceExtension } from "./extensions/to-device.ts";
import { typingExtension } from "./extensions/typing.ts";

/** All that can be told beside rooms, by the names on the wire. */
const EXTENSIONS: readonly (readonly [name: string, read: ExtensionReader])[] = [
  ["to_device", toDeviceExtension],
  ["e2ee", e2eeExtension],
  ["account_data", accountDataExtension],
  ["receipts", receiptsExtension],
  ["typing", typingExtension],
  ["org.matrix.msc4262.profiles", profilesExtension],
  ["io.element.msc4308.thread_subscriptions", threadSubscriptionsExtension],
  ["org.matrix.msc4354.sticky_events", stickyEventsExtension],
];

/** What a client is told beside rooms. To be called when the draft has all rooms that the answer tells of. */
export async function readExtensions(
  hs: Homeserver,
  around: Around,
): Promise<ReadonlyMap<string, Extension>> {
  const read = await Promise.all(
    EXTENSIONS.map(async ([name, it]) => [name, await it(hs, around)] as const),
  );
  return new Map(read.flatMap(([name, it]) => (it ? [[name, it] as const] : [])));
}

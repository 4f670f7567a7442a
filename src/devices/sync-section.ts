import type { SyncSection } from "#src/streams/sync-section.ts";
import { readQueue } from "./to-device-queue.ts";
import { TO_DEVICE } from "./to-device-stream.ts";

/** The messages to the device. @spec client-server-api#send-to-device-messaging */
export const toDeviceSection: SyncSection = {
  name: "to-device",
  streams: [TO_DEVICE],

  async read(hs, { requester, resumeAfter }, { after, upTo }) {
    const from = resumeAfter ?? after ?? 0;
    const { events, cutAt } = await readQueue(hs, requester.deviceKey, { after: from, upTo });
    return events.length === 0 ? {} : { global: { to_device: { events } }, cutAt };
  },
};

import { Counter } from "prom-client";
import type { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { hearProfiles } from "#src/users/hear-profiles.ts";
import {
  DeviceListContent,
  Edu,
  isOf,
  PresenceContent,
  PROFILE_EDU,
  ProfileContent,
  ReceiptContent,
  SigningKeyContent,
  ToDeviceContent,
  TypingContent,
} from "./edu-schemas.ts";
import { receiveDeviceLists } from "./receive-device-lists.ts";
import { receivePresenceEdus } from "./receive-presence-edus.ts";
import { receiveReceipts } from "./receive-receipts.ts";
import { receiveToDeviceMessages } from "./receive-to-device.ts";
import { receiveTyping } from "./receive-typing.ts";

const received = new Counter({
  name: "archipel_received_edus_total",
  help: "EDUs in transactions of other servers: by type if they are of one that is known and well formed, else as other.",
  labelNames: ["type"] as const,
  registers: [registry],
});

/** More than a transaction may have: what comes after is passed over. */
const MOST_EDUS = 100;

/**
 * Takes in what a server tells beside events: who types, who is there, how far users have read, messages
 * to devices, changes of devices and profiles. What is of no known type, not well formed, or about users of other servers counts
 * as not said.
 *
 * Returns when it is durable. All of it may be repeated.
 *
 * @spec server-server-api#edus
 */
export async function receiveEdus(
  hs: Homeserver,
  origin: ServerName,
  edus: readonly unknown[],
): Promise<void> {
  if (edus.length === 0) return;
  const all = edus.slice(0, MOST_EDUS).map((it) => Edu.safeParse(it).data);
  let read = 0;
  const contentsOf = <T>(type: string, content: z.ZodType<T>): T[] => {
    const its = all.flatMap((it) => {
      const parsed = it?.edu_type === type ? content.safeParse(it.content) : undefined;
      return parsed?.success ? [parsed.data] : [];
    });
    received.inc({ type }, its.length);
    read += its.length;
    return its;
  };
  await Promise.all([
    receiveTyping(hs, origin, contentsOf("m.typing", TypingContent)),
    receiveReceipts(hs, origin, contentsOf("m.receipt", ReceiptContent)),
    receivePresenceEdus(hs, origin, contentsOf("m.presence", PresenceContent)),
    hearProfiles(
      hs,
      contentsOf(PROFILE_EDU, ProfileContent)
        .filter((it) => isOf(origin, it.user_id))
        .map(({ user_id: userId, fields }) => ({ userId, fields })),
    ),
    receiveToDeviceMessages(hs, origin, contentsOf("m.direct_to_device", ToDeviceContent)),
    receiveDeviceLists(hs, origin, {
      devices: contentsOf("m.device_list_update", DeviceListContent),
      keys: contentsOf("m.signing_key_update", SigningKeyContent),
    }),
  ]);
  if (read < edus.length) {
    received.inc({ type: "other" }, edus.length - read);
    hs.log.debug({ origin, count: edus.length - read }, "EDUs were passed over");
  }
}

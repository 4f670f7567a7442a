import { z } from "zod";
import { hashPassword } from "#src/auth/password-hash.ts";
import { askedInSession } from "#src/auth/user-interactive.ts";
import { shortened } from "#src/devices/device-name.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Registration } from "./register.ts";

/** What is kept of a registration until it is proved that it may be. */
const Kept = z.object({
  username: z.string().optional(),
  passwordHash: z.string(),
  device: z
    .object({
      deviceId: z.string().optional(),
      displayName: z.string().optional(),
      refreshable: z.boolean(),
    })
    .optional(),
});

/** What somebody asks for, to be kept while they prove that they may register: of the password only a hash. */
export async function textToKeep(
  hs: Homeserver,
  { username, password, device, guest }: Registration,
): Promise<string | undefined> {
  // A guest shows their access token each time.
  if (password === undefined || guest) return undefined;
  const displayName = device?.displayName && shortened(device.displayName);
  return JSON.stringify({
    username,
    passwordHash: await hashPassword(hs, password),
    device: device && { ...device, displayName },
  } satisfies z.infer<typeof Kept>);
}

/** What was asked for by the request with which a session began. */
export async function askedBefore(
  hs: Homeserver,
  sessionId: string,
): Promise<Registration | undefined> {
  const kept = await askedInSession(hs, sessionId);
  return kept === undefined ? undefined : Kept.parse(JSON.parse(kept));
}

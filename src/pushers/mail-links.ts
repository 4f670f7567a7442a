import { createHmac, timingSafeEqual } from "node:crypto";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type MailPusher, mailPusher } from "./queries-pushers.ts";

/** A pusher by e-mail, which who has got one from it may confirm or stop. */
export type LinkedPusher = MailPusher & { readonly pusherKey: number };

/** The address of the page on which who gets e-mails says whether they want them. Only they can know it. */
export function mailLink(
  hs: Homeserver,
  { pusherKey, pushkey }: Pick<LinkedPusher, "pusherKey" | "pushkey">,
): string {
  const base = hs.config.publicBaseUrl.replace(/\/$/, "");
  return `${base}/_archipel/mail?token=${pusherKey}.${proofOf(hs, pusherKey, pushkey)}`;
}

/** The pusher that a link is of, if it is one of ours and the pusher is there. */
export async function pusherOfLink(
  hs: Homeserver,
  token: string,
): Promise<LinkedPusher | undefined> {
  const groups = /^(?<key>\d{1,15})\.(?<proof>[\w-]{43})$/.exec(token)?.groups;
  if (!groups) return undefined;
  const pusherKey = Number(groups["key"]);
  const pusher = await mailPusher(hs.sql, pusherKey);
  if (!pusher) return undefined;
  const proof = Buffer.from(proofOf(hs, pusherKey, pusher.pushkey));
  return timingSafeEqual(proof, Buffer.from(groups["proof"] ?? ""))
    ? { ...pusher, pusherKey }
    : undefined;
}

/** What only we can make, and for this address alone. */
function proofOf(hs: Homeserver, pusherKey: number, address: string): string {
  const text = JSON.stringify(["mail pusher", pusherKey, address]);
  return createHmac("sha256", hs.signingKey.seed).update(text).digest("base64url");
}

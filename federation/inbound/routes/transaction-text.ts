import type { Homeserver } from "#src/homeserver/homeserver.ts";

/** Events in the form in which transactions have them. */
export function transactionText(hs: Homeserver, pdus: readonly string[]): string {
  const origin = JSON.stringify(hs.name);
  return `{"origin":${origin},"origin_server_ts":${hs.now()},"pdus":[${pdus.join(",")}]}`;
}

import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";

const FIRST_RETRY_MS = 1_000;

/** The longest wait for a server that is listed as a partner. */
const PARTNER_RETRY_MS = 30_000;

/**
 * How long to wait before a server is tried again that has failed a number of times in a row.
 *
 * @param chance from 0 to 1: so that servers that failed together are not all tried together.
 */
export function retryWaitMs(
  hs: Homeserver,
  server: ServerName,
  { failures, chance }: { readonly failures: number; readonly chance: number },
): number {
  const { partners, maxRetryWaitMs } = hs.config.federation;
  const most = partners.includes(server)
    ? Math.min(PARTNER_RETRY_MS, maxRetryWaitMs)
    : maxRetryWaitMs;
  const doubled = FIRST_RETRY_MS * 2 ** Math.min(Math.max(failures - 1, 0), 30);
  return Math.round(Math.min(most, doubled * (1 + chance / 4)));
}

import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";

const FIRST_RETRY_MS = 1_000;

/** The longest wait for a server that is listed as a partner. */
const PARTNER_RETRY_MS = 30_000;

/** The longest that a server may ask us to wait. */
const LONGEST_ASKED_MS = 60 * 60 * 1000;

type Failed = {
  readonly serverName: ServerName;
  /** How often in a row. */
  readonly failures: number;
  /** How long it has asked us to wait; 0 if it has not. */
  readonly askedToWaitMs: number;
};

/** The longest that a server is waited for: if one were to be waited for longer, the clock would have been set back. */
export function longestWaitMs(hs: Homeserver): number {
  return Math.max(hs.config.federation.maxRetryWaitMs, LONGEST_ASKED_MS);
}

/**
 * How long to wait before a server is tried again that has failed.
 *
 * @param chance from 0 to 1: so that servers that failed together are not all tried together.
 */
export function retryWaitMs(
  hs: Homeserver,
  { serverName, failures, askedToWaitMs }: Failed,
  chance: number,
): number {
  const { partners, maxRetryWaitMs } = hs.config.federation;
  const isPartner = partners.includes(serverName);
  const most = isPartner ? Math.min(PARTNER_RETRY_MS, maxRetryWaitMs) : maxRetryWaitMs;
  const doubled = FIRST_RETRY_MS * 2 ** Math.min(Math.max(failures - 1, 0), 30);
  const own = Math.round(Math.min(most, doubled * (1 + chance / 4)));
  return Math.max(own, Math.min(askedToWaitMs, LONGEST_ASKED_MS));
}

import { isIP } from "node:net";

/**
 * The address that a proxy says in `X-Forwarded-For` that a request comes from. That is the last: those before it are
 * what the client says itself, where the proxy adds to them.
 *
 * @returns undefined if it says none.
 */
export function forwardedAddress(header: string | undefined): string | undefined {
  const last = header?.split(",").at(-1)?.trim();
  if (!last || isIP(last) !== 0) return last || undefined;
  // Some proxies say the client's port, too, which is another one for each connection.
  const bare = last.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  return isIP(bare) === 0 ? last : bare;
}

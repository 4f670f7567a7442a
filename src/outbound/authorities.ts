import { readFileSync } from "node:fs";
import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import { held } from "#src/homeserver/held.ts";

/**
 * Whom we believe certificates of: Node's own list, the system's, and the configured file. Made once,
 * since it takes some hundredths of a second.
 *
 * @throws Error if the configured file cannot be read, or holds no certificate.
 * @spec server-server-api#tls
 */
export const authoritiesOf = held((hs): SecureContext => {
  const { caFile } = hs.config.federation;
  const own = caFile === null ? [] : [readFileSync(caFile, "utf8")];
  return createSecureContext({
    ca: [...new Set([...getCACertificates("default"), ...getCACertificates("system"), ...own])],
    minVersion: "TLSv1.2",
  });
});

import { readFile } from "node:fs/promises";
import { createSecureContext, type Server } from "node:tls";
import type { Logger } from "pino";

/** Where a certificate and its key are, in PEM. */
export type CertificateFiles = { readonly certFile: string; readonly keyFile: string };

export type RenewalOptions = {
  readonly log: Logger;
  readonly everyMs?: number;
};

/** How long a new certificate waits: who renews one does so weeks before the old one ends. */
const LOOK_EVERY_MS = 60_000;

/**
 * Has a TLS server take a new certificate when its files change, for connections made from then on. Their contents are
 * compared, not their times: what a name leads to is often exchanged for something older. Files that are no pair, as while
 * one of them has been written and the other has not, are passed over until they are.
 *
 * @param current what the server has now.
 * @returns what ends it.
 */
export function renewCertificate(
  server: Server,
  { certFile, keyFile }: CertificateFiles,
  current: { readonly cert: Buffer; readonly key: Buffer },
  { log, everyMs = LOOK_EVERY_MS }: RenewalOptions,
): () => void {
  let known = current;
  let lastFault = "";
  let isLooking = false;
  let isEnded = false;

  async function look(): Promise<void> {
    const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
    if (isEnded) return;
    if (cert.equals(known.cert) && key.equals(known.key)) return;
    // Throws of what is no pair, before the server has any of it.
    createSecureContext({ cert, key });
    server.setSecureContext({ cert, key });
    known = { cert, key };
    log.info({ certFile, keyFile }, "a new certificate is used");
  }

  const timer = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    look()
      .then(() => (lastFault = ""))
      .catch((error: unknown) => {
        const fault = error instanceof Error ? error.message : String(error);
        // Said once: it stays so until somebody mends the files.
        if (fault !== lastFault) {
          log.warn({ err: error, certFile, keyFile }, "no new certificate: the last one is kept");
        }
        lastFault = fault;
      })
      .finally(() => (isLooking = false));
  }, everyMs);
  timer.unref();
  return () => {
    isEnded = true;
    clearInterval(timer);
  };
}

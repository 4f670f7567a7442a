import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { createServer, type Server } from "node:https";
import { join } from "node:path";
import { freePort } from "#src/kit/free-port.ts";
import {
  type Certificate,
  foundAuthority,
  type PrivateAuthority,
} from "#src/kit/private-authority.ts";
import { testDirectory } from "#src/testing-directory.ts";

/** A private authority, and a file that has its certificate. */
export type TestAuthority = PrivateAuthority & { readonly caFile: string };

/** Founds an authority for a test, whose certificate is a file of `directory`. */
export function testAuthority(directory = testDirectory()): TestAuthority {
  const authority = foundAuthority("Test authority");
  const caFile = join(directory, "ca.pem");
  writeFileSync(caFile, authority.cert);
  return { ...authority, caFile };
}

/** A TLS server on a loopback address. */
export type TestTlsServer = {
  readonly port: number;
  readonly http: Server;
  close(): Promise<void>;
};

export async function testTlsServer(
  certificate: Certificate,
  listener: RequestListener,
  { host = "127.0.0.1", port: wanted }: { host?: string; port?: number } = {},
): Promise<TestTlsServer> {
  const port = wanted ?? (await freePort(host));
  const http = createServer(certificate, listener);
  http.listen(port, host);
  await once(http, "listening");
  return {
    port,
    http,
    async close() {
      const closed = once(http, "close");
      http.close();
      http.closeAllConnections();
      await closed;
    },
  };
}

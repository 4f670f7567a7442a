import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { createServer, type Server } from "node:https";
import { freePort } from "#src/kit/free-port.ts";
import type { FederationOfRun } from "../load/stage.ts";

const HOST = "127.0.0.1";

/** Where a server of the load is reached, over TLS. It can go and come back. */
export type PeerListener = {
  /** `127.0.0.1:4711`: the address is the server's name. */
  readonly address: string;
  /** Takes no connections any more, as if its machine were off. */
  goDown(): Promise<void>;
  /** Takes connections again, at the same address. */
  comeUp(): Promise<void>;
};

export async function peerListener(
  { certFile, keyFile }: FederationOfRun,
  answer: RequestListener,
): Promise<PeerListener> {
  const pem = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
  const listen = async (port: number): Promise<Server> => {
    const listening = createServer(pem, answer);
    listening.keepAliveTimeout = 60_000;
    listening.listen(port, HOST);
    await once(listening, "listening");
    return listening;
  };
  const port = await freePort(HOST);
  let server = await listen(port);
  return {
    address: `${HOST}:${port}`,
    async goDown() {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
    async comeUp() {
      if (!server.listening) server = await listen(port);
    },
  };
}

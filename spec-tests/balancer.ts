import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/**
 * Stands before several processes of one homeserver, and gives each of them every so manyth request.
 *
 * @param urls where the processes are.
 * @returns where it listens, and what ends it.
 */
export async function startBalancer(
  urls: readonly string[],
): Promise<{ readonly url: string; close(): void }> {
  // A connection that is kept may be closed by the other side just when it is used again.
  const agent = new Agent({ keepAlive: false });
  let count = 0;
  const server = createServer((incoming, outgoing) => {
    const url = urls[count++ % urls.length] ?? "";
    pass(incoming, outgoing, { url, agent });
  });
  // For the same reason it closes none by itself.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.close();
      server.closeAllConnections();
      agent.destroy();
    },
  };
}

function pass(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { url, agent }: { readonly url: string; readonly agent: Agent },
): void {
  const { hostname, port } = new URL(url);
  const { method, url: path, headers } = incoming;
  const passed = request({ hostname, port, method, path, headers, agent }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.statusMessage, answer.rawHeaders);
    answer.pipe(outgoing);
    // What ends there in the middle ends here so as well.
    answer.once("error", () => outgoing.destroy());
  });
  // Who answers before everything has been said may hang up then.
  passed.on("error", () => {
    if (!outgoing.headersSent) outgoing.destroy();
  });
  outgoing.once("close", () => passed.destroy());
  incoming.pipe(passed);
}

import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";

/** Where tests, which are processes of their own, ask for what the tests of a run share. */
export type Demand = { readonly url: string; close(): void };

/**
 * Listens for what tests ask for, and answers as JSON what there then is. What is asked for again is there already.
 *
 * @param start gets what was asked for, as text, and how much else was before.
 */
export async function startOnDemand(
  start: (wanted: string, index: number) => Promise<object>,
): Promise<Demand> {
  const started = new Map<string, Promise<object>>();
  const server = createServer((request, response) => {
    const answered = textOf(request).then(async (wanted) => {
      const it = started.get(wanted) ?? start(wanted, started.size);
      started.set(wanted, it);
      return JSON.stringify(await it);
    });
    answered.then(
      (text) => response.end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}

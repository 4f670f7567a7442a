import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A request that an application service got. */
export type Got = {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: unknown;
};

/** What it does with a request: the status that it answers with, and what; nothing, so that it hangs. */
export type Answering = (got: Got) => Promise<Said | undefined> | Said | undefined;
type Said = { readonly status: number; readonly body?: unknown };

/** An application service that a test plays. */
export type TestAppservice = {
  /** All that it got, in order. */
  readonly got: readonly Got[];
  /** The registration file. */
  readonly file: string;
  /** Changes what it does. At first it takes everything. */
  answer(answering: Answering): void;
  close(): Promise<void>;
};

export const AS_TOKEN = "token-of-the-bridge";

/** @param further what its registration says beside the usual: that it has the users and aliases that begin with `_b_`. */
export async function testAppservice(further: object = {}): Promise<TestAppservice> {
  const got: Got[] = [];
  let answering: Answering = () => ({ status: 200 });
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (it: Buffer) => chunks.push(it));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const { method = "", url: path = "", headers } = request;
      const body: unknown = text === "" ? undefined : JSON.parse(text);
      const it = { method, path, authorization: headers.authorization, body };
      got.push(it);
      void Promise.resolve(answering(it)).then((said) => {
        if (said) response.writeHead(said.status).end(JSON.stringify(said.body ?? {}));
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const folder = mkdtempSync(join(tmpdir(), "archipel-appservice-"));
  const file = join(folder, "bridge.yaml");
  const registration = {
    id: "bridge",
    url: `http://127.0.0.1:${port}/base`,
    as_token: AS_TOKEN,
    hs_token: "token-of-the-server",
    sender_localpart: "bridgebot",
    receive_ephemeral: true,
    "org.matrix.msc3202": true,
    namespaces: {
      users: [{ exclusive: true, regex: "@_b_.*" }],
      aliases: [{ exclusive: true, regex: "#_b_.*" }],
    },
    ...further,
  };
  writeFileSync(file, JSON.stringify(registration));
  return {
    got,
    file,
    answer(it) {
      answering = it;
    },
    async close() {
      server.close();
      server.closeAllConnections();
      rmSync(folder, { recursive: true });
      await once(server, "close").catch(() => {});
    },
  };
}

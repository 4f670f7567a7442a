import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { driverAddress } from "./database-url.ts";

/** A way to a database that can be closed and opened: a port before it. */
export type DatabaseGate = {
  /** The database's URL by way of the gate. */
  readonly url: string;
  open(): Promise<void>;
  /** Cuts all connections, and refuses new ones. */
  close(): Promise<void>;
};

/** Makes a gate before a database. It is closed, and has a port of its own. */
export async function databaseGate(databaseUrl: string): Promise<DatabaseGate> {
  const sockets = new Set<Socket>();
  const { url: target, host } = driverAddress(databaseUrl);
  const { hostname, port: targetPort } = new URL(target);
  const number = targetPort === "" ? 5432 : Number(targetPort);
  const dial = () =>
    host === undefined ? connect(number, hostname) : connect(`${host}/.s.PGSQL.${number}`);
  const listenAt = async (port: number): Promise<Server> => {
    const server = createServer((socket) => {
      const beyond = dial();
      for (const it of [socket, beyond]) {
        sockets.add(it);
        it.on("error", () => {});
        it.once("close", () => sockets.delete(it));
      }
      socket.pipe(beyond).pipe(socket);
    });
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return server;
  };
  const shut = async (server: Server) => {
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };

  const first = await listenAt(0);
  const address = first.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await shut(first);
  let server: Server | undefined;
  const url = new URL(target);
  url.hostname = "127.0.0.1";
  url.port = String(port);
  return {
    url: url.href,
    async open() {
      server ??= await listenAt(port);
    },
    async close() {
      if (server) await shut(server);
      server = undefined;
    },
  };
}

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { freePort } from "#src/kit/free-port.ts";
import { driverAddress } from "./database-url.ts";

/** A way to a database that can be closed and opened: a port before it. */
export type DatabaseGate = {
  /** The database's URL by way of the gate. */
  readonly url: string;
  open(): Promise<void>;
  /** Cuts all connections, and refuses new ones. */
  close(): Promise<void>;
  /** Lets nothing through any more on the connections that there are, for ever, nor on new ones. */
  fallSilent(): Promise<void>;
  /** Cuts all connections, and ends new ones. */
  hangUp(): Promise<void>;
};

type Mode = "open" | "silent" | "hanging up";

/** Makes a gate before a database. It is closed, and has a port of its own. */
export async function databaseGate(databaseUrl: string): Promise<DatabaseGate> {
  const sockets = new Set<Socket>();
  const { url: target, host } = driverAddress(databaseUrl);
  const { hostname, port: targetPort } = new URL(target);
  const number = targetPort === "" ? 5432 : Number(targetPort);
  const dial = () =>
    host === undefined ? connect(number, hostname) : connect(`${host}/.s.PGSQL.${number}`);
  let mode: Mode = "open";
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
  };
  const listenAt = async (port: number): Promise<Server> => {
    const server = createServer((socket) => {
      keep(socket);
      if (mode === "hanging up") socket.end();
      if (mode !== "open") return;
      const beyond = dial();
      keep(beyond);
      socket.pipe(beyond).pipe(socket);
    });
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return server;
  };
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const shut = async (server: Server) => {
    const closed = once(server, "close");
    server.close();
    cut();
    await closed;
  };

  const port = await freePort();
  let server: Server | undefined;
  const turn = async (to: Mode) => {
    mode = to;
    server ??= await listenAt(port);
  };
  const url = new URL(target);
  url.hostname = "127.0.0.1";
  url.port = String(port);
  return {
    url: url.href,
    open: async () => await turn("open"),
    async fallSilent() {
      await turn("silent");
      for (const socket of sockets) socket.unpipe().pause();
    },
    async hangUp() {
      await turn("hanging up");
      cut();
    },
    async close() {
      if (server) await shut(server);
      server = undefined;
    },
  };
}

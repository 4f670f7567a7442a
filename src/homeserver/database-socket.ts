import { connect, type NetConnectOpts, type Socket } from "node:net";
import { lostConnection } from "./connection-errors.ts";
import { driverAddress } from "./database-url.ts";

/**
 * Begins to connect to where a database listens, as the driver would. It is an error that a connection ends on which nothing
 * has come: the driver would make another, again and again, and whoever waits would not hear of it.
 *
 * @param bufferBytes how much may wait to be sent before the driver holds back statements.
 */
export function databaseSocket(url: string, bufferBytes?: number): Socket {
  const address = socketAddress(url);
  const socket = connect({
    ...address,
    noDelay: true,
    ...(bufferBytes !== undefined && { writableHighWaterMark: bufferBytes }),
  } as NetConnectOpts);
  socket.once("end", () => {
    if (socket.bytesRead === 0) socket.destroy(lostConnection());
  });
  // The driver looks there for the name that is to be in the certificate.
  return Object.assign(socket, address);
}

function socketAddress(url: string): { path: string } | { host: string; port: number } {
  const address = driverAddress(url);
  const { hostname, port } = new URL(address.url);
  const number = port === "" ? 5432 : Number(port);
  if (address.host?.startsWith("/")) return { path: `${address.host}/.s.PGSQL.${number}` };
  return {
    host: address.host ?? decodeURIComponent(hostname).replace(/^\[|\]$/g, ""),
    port: number,
  };
}

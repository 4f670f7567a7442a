import { once } from "node:events";
import type { Server } from "node:net";
import { variableOf } from "#src/config/config-keys.ts";

/** Where to listen, as the configuration says it. */
export type Address = { readonly host: string; readonly port: number };

/**
 * Has a server listen.
 *
 * @param section the part of the configuration that the address is from
 * @returns the port: the one that was asked for, or the free one that was found for 0
 * @throws Error that says what stands in the way, and what to set
 */
export async function listenAt(
  server: Server,
  { host, port }: Address,
  section: "listener" | "tlsListener" | "metrics",
): Promise<number> {
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (cause) {
    const key = (name: string) => `${section}.${name} (${variableOf([section, name])})`;
    throw new Error(whyNot({ host, port }, key, cause), { cause });
  }
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : port;
}

/** An address as it stands in a URL. */
export function inUrl({ host, port }: Address): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function whyNot(address: Address, key: (name: string) => string, cause: unknown): string {
  const at = inUrl(address);
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "EADDRINUSE") {
    return `${at} is in use by another program: stop that one, or set ${key("port")} to another port.`;
  }
  if (code === "EACCES") {
    return `We are not allowed to listen at ${at}: set ${key("port")} to 1024 or more.`;
  }
  return `We cannot listen at ${at}: set ${key("host")} to an address of this machine.`;
}

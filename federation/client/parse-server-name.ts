import { isIP } from "node:net";

/** The parts of a server name. */
export type ServerNameParts = {
  /** A host name, or an address without brackets. */
  readonly host: string;
  readonly port?: number;
  readonly isAddress: boolean;
};

/**
 * Takes a server name apart.
 *
 * @returns undefined if it is none, or its port is none.
 * @spec appendices#server-name
 */
export function parseServerNameParts(name: string): ServerNameParts | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9.-]{1,255}))(?::(\d{1,5}))?$/.exec(name);
  if (!match) return undefined;
  const [, v6, hostOrV4 = "", digits] = match;
  if (v6 !== undefined && isIP(v6) !== 6) return undefined;
  const host = v6 ?? hostOrV4;
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined;
  return { host, isAddress: isIP(host) !== 0, ...(port !== undefined && { port }) };
}

import { isIP } from "node:net";

/** Where a request goes, and whom we expect there. */
export type Destination = {
  readonly protocol: "https:" | "http:";
  /** What is connected to: a host name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
  /** The host name or address that the certificate must be for. */
  readonly certificateName: string;
  /** What the `Host` header says. */
  readonly hostHeader: string;
  /** Whether the operator has named it, so that it may be in a private network. */
  readonly isConfigured?: boolean;
};

/** The destination of an ordinary URL, and the rest of it as it stands on the request line. */
export function destinationOfUrl(url: URL): { destination: Destination; path: string } | undefined {
  const { protocol } = url;
  if (protocol !== "https:" && protocol !== "http:") return undefined;
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const port = url.port === "" ? (protocol === "https:" ? 443 : 80) : Number(url.port);
  return {
    destination: { protocol, host, port, certificateName: host, hostHeader: url.host },
    path: url.pathname + url.search,
  };
}

/** The origin that is connected to, as in `https://[::1]:8448`. */
export function originOf({ protocol, host, port }: Destination): string {
  return `${protocol}//${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

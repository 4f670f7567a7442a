import { readFileSync } from "node:fs";
import { isIP } from "node:net";

/** A database's URL in the parts that the driver takes. */
export type DriverAddress = {
  readonly url: string;
  /** The directory of a unix socket, or a host that goes before the URL's own. */
  readonly host?: string;
  /** Who vouches for the database, if that is not for Node to know; and its address, if it has no name to have a certificate for. */
  readonly ssl?: { readonly ca?: string; readonly host?: string };
};

/**
 * Reads a database's URL as libpq does, of which the driver by itself knows less:
 * `postgres:///name?host=/run/postgresql&port=5433` and `postgres://user@%2Frun%2Fpostgresql/name` are unix sockets, and
 * what stands before the host in `postgres://user:password@/name?host=/run/postgresql` counts; `sslrootcert` names a file.
 *
 * @throws Error if that file cannot be read.
 */
export function driverAddress(databaseUrl: string): DriverAddress {
  const url = new URL(withHost(databaseUrl));
  const take = (name: string) => {
    const value = url.searchParams.get(name);
    url.searchParams.delete(name);
    return value;
  };
  const ownHost = decodeURIComponent(url.hostname);
  const host = take("host") ?? (ownHost.startsWith("/") ? ownHost : null);
  // The driver cannot read a URL without any host, or with a directory for one.
  if (host !== null) url.hostname = "localhost";
  url.port = take("port") ?? url.port;
  url.username = take("user") ?? url.username;
  url.password = take("password") ?? url.password;
  url.pathname = take("dbname") ?? url.pathname;
  const ssl = certificateOf(url, (host ?? ownHost).replace(/^\[|\]$/g, ""));
  return {
    url: url.href,
    ...(host !== null && { host }),
    ...(ssl !== undefined && { ssl }),
  };
}

/** A URL that has a user and no host is none to the web. */
function withHost(databaseUrl: string): string {
  return databaseUrl.replace(/^(\w+:\/\/[^/?#]*@)(?=[/?#]|$)/, "$1localhost");
}

/**
 * The driver would tell the database of the file, and ask the system's authorities (`system` it knows); and of a database at
 * an address it would take a certificate for `localhost`, and none for the address.
 */
function certificateOf({ searchParams }: URL, host: string): DriverAddress["ssl"] {
  const mode = searchParams.get("sslmode");
  const file = searchParams.get("sslrootcert");
  const isOwn = file !== null && file !== "system";
  if (isOwn) searchParams.delete("sslrootcert");
  const isChecked = file !== null || mode === "verify-full" || mode === "verify-ca";
  if (mode === "disable" || !isChecked) return undefined;
  if (!isOwn && isIP(host) === 0) return undefined;
  return {
    ...(isOwn && { ca: readFileSync(file, "utf8") }),
    ...(isIP(host) !== 0 && { host }),
  };
}

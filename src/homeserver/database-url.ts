import { readFileSync } from "node:fs";

/** A database's URL in the parts that the driver takes. */
export type DriverAddress = {
  readonly url: string;
  /** The directory of a unix socket, or a host that goes before the URL's own. */
  readonly host?: string;
  /** The authorities that vouch for the database, which then has to have a certificate of theirs for its name. */
  readonly ssl?: { readonly ca: string };
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
  const authorities = authoritiesOf(url);
  return {
    url: url.href,
    ...(host !== null && { host }),
    ...(authorities !== undefined && { ssl: { ca: authorities } }),
  };
}

/** A URL that has a user and no host is none to the web. */
function withHost(databaseUrl: string): string {
  return databaseUrl.replace(/^(\w+:\/\/[^/?#]*@)(?=[/?#]|$)/, "$1localhost");
}

/** The driver would tell the database of the file, and ask the system's authorities. `system` it knows. */
function authoritiesOf({ searchParams }: URL): string | undefined {
  const file = searchParams.get("sslrootcert");
  if (file === null || file === "system") return undefined;
  searchParams.delete("sslrootcert");
  return searchParams.get("sslmode") === "disable" ? undefined : readFileSync(file, "utf8");
}

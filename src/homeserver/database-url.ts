/** A database's URL in the two parts that the driver takes. */
export type DriverAddress = {
  readonly url: string;
  /** The directory of a unix socket; the URL's own host counts when there is none. */
  readonly host?: string;
};

/**
 * Reads a database's URL as libpq does: `postgres:///name?host=/run/postgresql` is a unix socket, which the
 * driver by itself takes for a setting of the session.
 */
export function driverAddress(databaseUrl: string): DriverAddress {
  const url = new URL(databaseUrl);
  const host = url.searchParams.get("host");
  if (host === null) return { url: databaseUrl };
  url.searchParams.delete("host");
  // The driver cannot read a URL without any host.
  if (url.hostname === "") url.hostname = "localhost";
  return { url: url.href, host };
}

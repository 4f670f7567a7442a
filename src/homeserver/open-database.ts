import postgres, { type Options, type Sql } from "postgres";

/**
 * Opens a pool of connections to a database.
 *
 * @param url as libpq reads it: also `postgres:///name?host=/run/postgresql` for a unix socket, which the
 *   driver itself does not understand
 */
export function openDatabase(url: string, options: Options<Record<string, never>> = {}): Sql {
  const parsed = new URL(url);
  const socketDir = parsed.searchParams.get("host");
  if (socketDir === null) return postgres(url, options);
  parsed.searchParams.delete("host");
  if (parsed.hostname === "") parsed.hostname = "localhost";
  return postgres(parsed.href, { host: socketDir, ...options });
}

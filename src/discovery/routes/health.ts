import { type Endpoint, jsonText, openEndpoint } from "#src/http/endpoint.ts";

/** How long the database may take for the simplest question. */
const PATIENCE_MS = 2_000;

/** For load balancers: whether this process can do its work, which it cannot without the database. */
export const healthEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "health",
    method: "GET",
    path: "/health",
    auth: "none",
    rate: "none",
    async handle(hs) {
      const answers = hs.sql`select 1`.then(
        () => true,
        () => false,
      );
      const { promise: late, resolve } = Promise.withResolvers<boolean>();
      const timer = setTimeout(resolve, PATIENCE_MS, false);
      const isHealthy = !hs.stopping.aborted && (await Promise.race([answers, late]));
      clearTimeout(timer);
      return isHealthy
        ? jsonText('{"status":"ok"}')
        : jsonText('{"status":"the database does not answer"}', 503);
    },
  }),
];

import { resolve } from "node:path";
import { firstAdministratorLink } from "#src/accounts/first-administrator.ts";
import type { Config } from "#src/config/config.ts";
import { ConfigError, EXIT_CONFIG, loadConfig } from "#src/config/load-config.ts";
import { createLogger } from "#src/homeserver/log.ts";
import { isDriversFault } from "#src/homeserver/resilient-sql.ts";
import { startServer } from "./start-server.ts";

function configOrExit(): Config {
  try {
    return loadConfig(process.env, process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(EXIT_CONFIG);
  }
}

const config = configOrExit();
const log = createLogger(config.log);

/** What cannot be mended here is said and ended: whoever started us starts us again. */
function fail(cause: unknown): never {
  log.fatal({ err: cause }, "the server cannot go on");
  process.exit(1);
}
process.on("uncaughtException", (error) => {
  if (!isDriversFault(error)) fail(error);
  log.warn({ err: error }, "a connection to the database was lost");
});
process.on("unhandledRejection", fail);

const server = await startServer(config, log, fail).catch(fail);

/** When we were told to stop, in milliseconds since the process began. */
let stoppingSince: number | undefined;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    // A second signal means: at once. But one request to stop may reach us twice, from the terminal and
    // from npm.
    if (stoppingSince !== undefined) {
      if (performance.now() - stoppingSince > 1_000) process.exit(1);
      return;
    }
    stoppingSince = performance.now();
    log.info({ signal }, "stopping");
    server.stop().then(() => process.exit(0), fail);
  });
}
const database = config.database.url === null ? "built in" : "given";
const dataDir = resolve(config.dataDir);
log.info({ url: server.url, serverName: config.serverName, dataDir, database }, "ready");
const link = await firstAdministratorLink(server.hs);
if (link !== undefined) {
  log.info(
    { link },
    "there is no administrator yet: this link makes the first one, and works once",
  );
}

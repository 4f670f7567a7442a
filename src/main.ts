import { ConfigError, EXIT_CONFIG, loadConfig } from "#src/config/load-config.ts";
import type { Config } from "#src/config/config.ts";
import { createLogger } from "#src/homeserver/log.ts";
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
process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);

const server = await startServer(config, log, fail).catch(fail);

let stopping = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    // A second signal means: at once.
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, "stopping");
    server.stop().then(() => process.exit(0), fail);
  });
}
log.info({ url: server.url, serverName: config.serverName }, "ready");

import { resolve } from "node:path";
import { setImmediate } from "node:timers/promises";
import { firstAdministratorLink } from "#src/accounts/first-administrator.ts";
import type { Config } from "#src/config/config.ts";
import { ConfigError, EXIT_CONFIG, loadConfig } from "#src/config/load-config.ts";
import { isDriversFault } from "#src/homeserver/connection-errors.ts";
import { giveBackMemoryAtRest } from "#src/homeserver/give-back-memory.ts";
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
  const why = cause instanceof Error ? cause.message : String(cause);
  log.fatal({ err: cause }, `the server cannot go on: ${why}`);
  process.exit(1);
}
process.on("uncaughtException", (error) => {
  if (!isDriversFault(error)) fail(error);
  log.warn({ err: error }, "a connection to the database was lost");
});
process.on("unhandledRejection", fail);

/** Aborted when we are told to stop. */
const stopping = new AbortController();
/** When that was, in milliseconds since the process began. */
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
    stopping.abort();
  });
}

const start = startServer(config, { log, signal: stopping.signal, onFatal: fail });
const server = await start.catch(async (error: unknown) => {
  // A signal for all of us may have ended a program that we waited for, and reaches us only now.
  await setImmediate();
  // What was begun has been taken back, so that we end as well as if we had never started.
  if (stopping.signal.aborted) process.exit(0);
  fail(error);
});
stopping.signal.addEventListener("abort", () => {
  server.stop().then(() => process.exit(0), fail);
});

const database = config.database.url === null ? "built in" : "given";
const dataDir = resolve(config.dataDir);
log.info({ url: server.url, serverName: config.serverName, dataDir, database }, "ready");
try {
  const link = await firstAdministratorLink(server.hs);
  if (link !== undefined) {
    log.info(
      { link },
      "there is no administrator yet: this link makes the first one, and works once",
    );
  }
} catch (error) {
  // Whoever is there already can use the server all the same; and it may be stopping.
  if (!stopping.signal.aborted) {
    log.warn(
      { err: error },
      "no link for a first administrator can be made: the next start tries again",
    );
  }
}
giveBackMemoryAtRest();

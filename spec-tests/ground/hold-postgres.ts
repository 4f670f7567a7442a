// Starts the built-in PostgreSQL on the directory it is given, says so, and waits to be told to stop, or to be killed.
import pino from "pino";
import { startEmbeddedPostgres } from "#src/homeserver/embedded-postgres.ts";

const [dataDir = ""] = process.argv.slice(2);
const log = pino({ level: "debug" }, pino.destination(2));
try {
  const server = await startEmbeddedPostgres({ dataDir, log, durable: false });
  process.once("SIGTERM", () => void server.stop().then(() => process.exit(0)));
  process.stdout.write(`${JSON.stringify({ url: server.url })}\n`);
} catch (error) {
  process.stdout.write(`${JSON.stringify({ error: String(error) })}\n`);
  process.exitCode = 1;
}

import { join } from "node:path";
import type { Command, Place } from "./server-under-test.ts";

const ROOT = join(import.meta.dirname, "..", "..");

/** Ours, as conformance suites start it: no rate limits, open registration, the cheapest password hash. */
export function archipelCommand({ dir, target, databaseUrl, federation }: Place): Command {
  return {
    program: join(ROOT, "deploy", "conformance", "start"),
    args: [],
    env: {
      SERVER_NAME: federation.serverName,
      BIND_ADDRESS: target.host,
      CLIENT_PORT: String(target.port),
      DATA_DIR: join(dir, "data"),
      INSTANCE: "bench",
      DATABASE_URL: databaseUrl,
      DEFAULT_ROOM_VERSION: "12",
      CA_CERT: federation.caFile,
      REGISTRATION_SHARED_SECRET: "bench",
      ARCHIPEL_LOG_LEVEL: "warn",
    },
  };
}

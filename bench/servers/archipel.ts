import { join } from "node:path";
import type { Command, Place } from "./server-under-test.ts";

const ROOT = join(import.meta.dirname, "..", "..");

/** What the configuration has by itself. */
const USUAL_PASSWORDS = {
  ARCHIPEL_PASSWORDS_ARGON2_MEMORY_KIB: "19456",
  ARCHIPEL_PASSWORDS_ARGON2_ITERATIONS: "2",
};

/** Ours, as conformance suites start it: no rate limits, open registration, the cheapest password hash. */
export function archipelCommand(place: Place): Command {
  const { dir, target, databaseUrl, federation, passwordCost } = place;
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
      ...(passwordCost === "usual" && USUAL_PASSWORDS),
    },
  };
}

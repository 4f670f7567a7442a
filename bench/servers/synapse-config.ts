import { join } from "node:path";
import { driverAddress } from "#src/homeserver/database-url.ts";
import type { Place } from "./server-under-test.ts";

/** More than any load asks for: rate limits are off on both sides. */
const UNLIMITED = { per_second: 1_000_000, burst_count: 1_000_000 };

/** Files that the configuration names. */
export function synapseFiles(dir: string) {
  return {
    config: join(dir, "homeserver.yaml"),
    logConfig: join(dir, "log.yaml"),
    signingKey: join(dir, "signing.key"),
    media: join(dir, "media"),
  };
}

/**
 * What Synapse is told. Where both sides have a choice it is the same: room version, presence, cheapest password
 * hash, no limits, warnings alone in the log. All else is as Synapse has it by itself.
 */
export function synapseConfig(place: Place): object {
  const { dir, target, databaseUrl, federation, passwordCost } = place;
  const files = synapseFiles(dir);
  return {
    server_name: federation.serverName,
    public_baseurl: `http://${target.host}:${target.port}/`,
    report_stats: false,
    listeners: [
      {
        port: target.port,
        bind_addresses: [target.host],
        type: "http",
        tls: false,
        resources: [{ names: ["client", "federation"], compress: false }],
      },
    ],
    database: { name: "psycopg2", args: databaseArguments(databaseUrl) },
    pid_file: join(dir, "synapse.pid"),
    log_config: files.logConfig,
    signing_key_path: files.signingKey,
    media_store_path: files.media,
    trusted_key_servers: [],
    registration_shared_secret: "bench",
    macaroon_secret_key: "bench",
    form_secret: "bench",
    enable_registration: true,
    enable_registration_without_verification: true,
    bcrypt_rounds: passwordCost === "usual" ? 12 : 4,
    default_room_version: "12",
    presence: { enabled: true },
    // By itself it gives the answer of two minutes ago to a first sync that comes again.
    caches: { sync_response_cache_duration: "0s" },
    federation_custom_ca_list: [federation.caFile],
    // Lets it reach the other servers of the load.
    ip_range_blacklist: [],
    federation: { destination_min_retry_interval: "1s", destination_max_retry_interval: "30s" },
    rc_federation: { sleep_limit: 1_000_000, reject_limit: 1_000_000, concurrent: 1_000 },
    rc_message: UNLIMITED,
    rc_registration: UNLIMITED,
    rc_login: { address: UNLIMITED, account: UNLIMITED, failed_attempts: UNLIMITED },
    rc_joins: { local: UNLIMITED, remote: UNLIMITED },
    rc_joins_per_room: UNLIMITED,
    rc_invites: { per_room: UNLIMITED, per_user: UNLIMITED, per_issuer: UNLIMITED },
    rc_presence: { per_user: UNLIMITED },
    rc_room_creation: UNLIMITED,
    rc_admin_redaction: UNLIMITED,
  };
}

/** Synapse's logging configuration: warnings, on standard error. */
export const SYNAPSE_LOG = {
  version: 1,
  disable_existing_loggers: false,
  formatters: { line: { format: "%(asctime)s %(levelname)s %(name)s %(message)s" } },
  handlers: { console: { class: "logging.StreamHandler", formatter: "line" } },
  root: { level: "WARNING", handlers: ["console"] },
};

function databaseArguments(databaseUrl: string): object {
  const { url, host } = driverAddress(databaseUrl);
  const { hostname, port, username, password, pathname } = new URL(url);
  return {
    host: host ?? hostname,
    port: port === "" ? 5432 : Number(port),
    user: decodeURIComponent(username),
    ...(password !== "" && { password: decodeURIComponent(password) }),
    dbname: decodeURIComponent(pathname.slice(1)),
    cp_min: 5,
    cp_max: 10,
  };
}

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "#src/kit/free-port.ts";
import type { Certificate } from "#src/kit/private-authority.ts";
import { installOracle } from "./oracle/install.ts";
import { registerUser, type TestUser } from "./test-user.ts";

/** A real Synapse, which other servers can reach. Its data lasts until it is disposed of. */
export type SynapseUnderTest = {
  readonly serverName: string;
  /** Plain HTTP, with the APIs of clients and of servers. No slash at the end. */
  readonly url: string;
  /** Its SQLite database. */
  readonly databaseFile: string;
  /** What it writes at level WARNING, or as the options say. */
  readonly logFile: string;
  /** Gives it another key to sign with, from its next start on. */
  changeKey(): void;
  /** Registers a user whose name begins with `name` and is new; the password is `secret`. */
  registerUser(name: string): Promise<TestUser>;
  /** Asks it to end, and waits until it has. */
  stop(): Promise<void>;
  /** Ends it without asking. */
  kill(): Promise<void>;
  /** Starts it again on the same data, at the same addresses. */
  start(): Promise<void>;
  /** Ends it for good and removes its data. */
  dispose(): Promise<void>;
};

export type SynapseOptions = {
  /** A name that leads to it, as in `127.0.0.1:8448`: by its `tls`, or by what stands before it. */
  readonly serverName: string;
  /** The authority that it trusts. It trusts no other. */
  readonly caFile: string;
  /** Where it listens with TLS on 127.0.0.1, if it does. */
  readonly tls?: { readonly port: number; readonly certificate: Certificate };
  /** Settings of `homeserver.yaml` in place of ours. */
  readonly settings?: Readonly<Record<string, unknown>>;
};

const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 20_000;

/** Lets it end when the process that started it has ended, however that went (Linux). */
const RUN = `
import ctypes, runpy, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 15)
runpy.run_module("synapse.app.homeserver", run_name="__main__", alter_sys=True)
`;

/**
 * Starts a Synapse from the package index, on SQLite, and waits until it answers.
 *
 * @throws Error with the last words of one that does not start; PackagesMissingError if it cannot be installed.
 */
export async function startSynapse(options: SynapseOptions): Promise<SynapseUnderTest> {
  const python = await installOracle();
  const dir = mkdtempSync(join(placeInMemory() ?? tmpdir(), "archipel-synapse-"));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const configFile = join(dir, "homeserver.yaml");
  const write = (name: string, text: string) => writeFileSync(join(dir, name), text);
  const changeKey = () => write("signing.key", newSigningKey());
  changeKey();
  write("log.yaml", JSON.stringify(logging(join(dir, "synapse.log"))));
  if (options.tls) {
    write("tls.crt", options.tls.certificate.cert);
    write("tls.key", options.tls.certificate.key);
  }
  // JSON is YAML.
  writeFileSync(configFile, JSON.stringify(configuration(options, { dir, port })));

  const launch = async (): Promise<ChildProcess> => {
    const said = openSync(join(dir, "console.log"), "a");
    const child = spawn(python, ["-c", RUN, "-c", configFile], {
      cwd: dir,
      stdio: ["ignore", said, said],
    });
    const endWithUs = () => child.kill("SIGKILL");
    process.once("exit", endWithUs);
    child.once("exit", () => process.removeListener("exit", endWithUs));
    await untilHealthy(url, child, dir);
    return child;
  };

  let child: ChildProcess;
  try {
    child = await launch();
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
  return {
    serverName: options.serverName,
    url,
    databaseFile: join(dir, "synapse.db"),
    logFile: join(dir, "synapse.log"),
    changeKey,
    registerUser: async (name) => await registerUser(url, name),
    stop: async () => await end(child, "SIGTERM"),
    kill: async () => await end(child, "SIGKILL"),
    async start() {
      if (runs(child)) throw new Error("The Synapse runs already.");
      child = await launch();
    },
    async dispose() {
      await end(child, "SIGKILL");
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Less than this in memory is for others. */
const LEAST_FREE_BYTES = 1024 ** 3;

/** A file system in memory, if there is one with room (Linux): SQLite waits for the disk again and again. */
function placeInMemory(): string | undefined {
  const place = "/dev/shm";
  if (!existsSync(place)) return undefined;
  const { bavail, bsize } = statfsSync(place);
  return bavail * bsize >= LEAST_FREE_BYTES ? place : undefined;
}

/** In the form of its files: an algorithm, a name, and a seed. */
function newSigningKey(): string {
  const seed = randomBytes(32).toString("base64").replaceAll("=", "");
  return `ed25519 a_${randomBytes(2).toString("hex")} ${seed}\n`;
}

/** Open to all who can reach it, with nothing limited, and quick to try again what has failed. */
function configuration(
  { serverName, caFile, tls, settings }: SynapseOptions,
  { dir, port }: { readonly dir: string; readonly port: number },
): object {
  const unlimited = { per_second: 1_000_000, burst_count: 1_000_000 };
  const listener = (more: object) => ({
    bind_addresses: ["127.0.0.1"],
    type: "http",
    resources: [{ names: ["client", "federation"], compress: false }],
    ...more,
  });
  return {
    server_name: serverName,
    public_baseurl: `http://127.0.0.1:${port}/`,
    report_stats: false,
    listeners: [
      listener({ port, tls: false }),
      ...(tls ? [listener({ port: tls.port, tls: true })] : []),
    ],
    ...(tls && {
      tls_certificate_path: join(dir, "tls.crt"),
      tls_private_key_path: join(dir, "tls.key"),
    }),
    federation_custom_ca_list: [caFile],
    // Without this it reaches no private address, and none of ours is another.
    ip_range_blacklist: [],
    federation: {
      destination_min_retry_interval: "1s",
      destination_retry_multiplier: 1,
      destination_max_retry_interval: "2s",
    },
    trusted_key_servers: [],
    suppress_key_server_warning: true,
    allow_public_rooms_over_federation: true,
    // As it comes, a public room of anybody but an administrator is made and, without a word, not published.
    room_list_publication_rules: [{ action: "allow" }],
    allow_public_rooms_without_auth: true,
    allow_device_name_lookup_over_federation: true,
    signing_key_path: join(dir, "signing.key"),
    media_store_path: join(dir, "media"),
    pid_file: join(dir, "synapse.pid"),
    log_config: join(dir, "log.yaml"),
    database: { name: "sqlite3", args: { database: join(dir, "synapse.db") } },
    macaroon_secret_key: "of no weight",
    form_secret: "of no weight",
    enable_registration: true,
    enable_registration_without_verification: true,
    bcrypt_rounds: 4,
    // Who asks for the same twice is to be told what is, and not what was.
    caches: { sync_response_cache_duration: 0 },
    rc_message: unlimited,
    rc_registration: unlimited,
    rc_login: { address: unlimited, account: unlimited, failed_attempts: unlimited },
    rc_joins: { local: unlimited, remote: unlimited },
    rc_joins_per_room: unlimited,
    rc_invites: { per_room: unlimited, per_user: unlimited, per_issuer: unlimited },
    rc_key_requests: unlimited,
    rc_media_create: unlimited,
    rc_room_creation: unlimited,
    rc_profile: unlimited,
    rc_presence: { per_user: unlimited },
    remote_media_download_per_second: "10G",
    remote_media_download_burst_count: "10G",
    rc_federation: {
      window_size: 1_000,
      sleep_limit: 100_000,
      sleep_delay: 1,
      reject_limit: 100_000,
      concurrent: 100,
    },
    federation_rr_transactions_per_room_per_second: 1_000,
    ...settings,
  };
}

function logging(filename: string): object {
  const format = "%(asctime)s %(levelname)s %(name)s %(request)s %(message)s";
  return {
    version: 1,
    disable_existing_loggers: false,
    formatters: { line: { format } },
    handlers: { file: { class: "logging.FileHandler", formatter: "line", filename } },
    root: { level: process.env["SYNAPSE_LOG_LEVEL"] ?? "WARNING", handlers: ["file"] },
  };
}

function runs({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid !== undefined && exitCode === null && signalCode === null;
}

async function untilHealthy(url: string, child: ChildProcess, dir: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (runs(child) && performance.now() < deadline) {
    const isWell = await fetch(`${url}/health`).then(
      (it) => it.ok,
      () => false,
    );
    if (isWell) return;
    await sleep(50);
  }
  await end(child, "SIGKILL");
  const said = readFileSync(join(dir, "console.log"), "utf8").slice(-4_000);
  throw new Error(`The Synapse did not start. It said:\n${said}`);
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (!runs(child)) return;
  const exited = once(child, "exit");
  child.kill(signal);
  const impatience = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(impatience);
}

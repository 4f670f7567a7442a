import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { readPostmasterFile } from "#src/homeserver/embedded-postgres-leftovers.ts";
import { freePort } from "#src/kit/free-port.ts";
import type { PrivateAuthority } from "#src/kit/private-authority.ts";
// @ts-expect-error It is plain JavaScript, since it runs before there is anything else.
import { bundleOf } from "../bundle.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const ENDS_WITH_US = new URL("../end-with-parent.mjs", import.meta.url).href;

/** How long a server may take to stop before it is killed. */
const PATIENCE_MS = 20_000;

/** The end of what a server has said is kept for the message of a failure. */
const KEPT_OUTPUT = 4_000;

/** A part of the organisation, with a server and a database of its own. */
export type Subsidiary = {
  readonly city: string;
  /** The server's name, which has its port: nothing has to be looked for elsewhere. */
  readonly serverName: string;
  /** Where its clients find it. */
  readonly url: string;
  /** By which scripts make accounts. */
  readonly sharedSecret: string;
  /** The process that runs; undefined if none does. */
  readonly pid: number | undefined;
  /** Where its database is; undefined while none runs. */
  databaseUrl(): string | undefined;
  /** Starts it on the data that it has. Done when it answers. @throws Error with its last words */
  start(): Promise<void>;
  /** Ends it as a power failure would. */
  kill(): Promise<void>;
  stop(): Promise<void>;
};

/** What all subsidiaries have in common. */
export type Group = {
  /** Where everything is kept. */
  readonly directory: string;
  readonly authority: PrivateAuthority;
  /** In the form of `/etc/hosts`. */
  readonly hostsFile: string;
  readonly caFile: string;
  readonly sharedSecret: string;
  /** Ends servers also while they start. */
  readonly signal: AbortSignal;
};

/** Founds a subsidiary: its name, its certificate, its directory. Its server does not run yet. */
export async function foundSubsidiary(group: Group, city: string): Promise<Subsidiary> {
  const host = `${city.toLowerCase()}.test`;
  const [port, tlsPort] = [await freePort(), await freePort()];
  const serverName = `${host}:${tlsPort}`;
  const url = `http://127.0.0.1:${port}`;
  const dataDir = join(group.directory, city.toLowerCase());
  // Passable for the user that runs the database if we are root.
  mkdirSync(dataDir, { mode: 0o711 });
  const { cert, key } = group.authority.issue(host);
  const [certFile, keyFile] = [join(dataDir, "cert.pem"), join(dataDir, "key.pem")];
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key, { mode: 0o600 });
  const env = {
    ...withoutOurs(process.env),
    ARCHIPEL_CONFIG: "/dev/null",
    ARCHIPEL_SERVER_NAME: serverName,
    ARCHIPEL_PUBLIC_BASE_URL: url,
    ARCHIPEL_DATA_DIR: dataDir,
    ARCHIPEL_LISTENER_PORT: String(port),
    ARCHIPEL_TLS_LISTENER_PORT: String(tlsPort),
    ARCHIPEL_TLS_LISTENER_CERT_FILE: certFile,
    ARCHIPEL_TLS_LISTENER_KEY_FILE: keyFile,
    ARCHIPEL_METRICS_ENABLED: "false",
    ARCHIPEL_REGISTRATION_SHARED_SECRET: group.sharedSecret,
    ARCHIPEL_RATE_LIMITS_ENABLED: "false",
    ARCHIPEL_FEDERATION_HOSTS_FILE: group.hostsFile,
    ARCHIPEL_FEDERATION_CA_FILE: group.caFile,
    ARCHIPEL_FEDERATION_ALLOWED_ADDRESS_RANGES: "127.0.0.0/8",
    ARCHIPEL_LOG_FORMAT: "json",
  };
  let child: ChildProcess | undefined;
  return {
    city,
    serverName,
    url,
    sharedSecret: group.sharedSecret,
    get pid() {
      return child !== undefined && runs(child) ? child.pid : undefined;
    },
    databaseUrl() {
      const socketDir = readPostmasterFile(join(dataDir, "postgres"))?.socketDir;
      return socketDir === undefined
        ? undefined
        : `postgres://archipel@localhost/archipel?host=${encodeURIComponent(socketDir)}`;
    },
    async start() {
      child = spawn(
        process.execPath,
        ["--disable-warning=ExperimentalWarning", "--import", ENDS_WITH_US, bundleOf(ROOT)],
        // In a group of its own: a Ctrl-C is for us, and we end it when its time has come.
        { cwd: dataDir, env, stdio: ["ignore", "pipe", "pipe"], detached: true },
      );
      const stopThis = () => void child?.kill("SIGTERM");
      group.signal.addEventListener("abort", stopThis);
      await untilReady(child, city).finally(() =>
        group.signal.removeEventListener("abort", stopThis),
      );
    },
    kill: async () => await end(child, "SIGKILL"),
    stop: async () => await end(child, "SIGTERM"),
  };
}

/** The environment of whoever started us, without what it says of another server. */
function withoutOurs(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("ARCHIPEL_")));
}

async function untilReady(child: ChildProcess, city: string): Promise<void> {
  let said = "";
  const keep = (text: string) => (said = (said + text).slice(-KEPT_OUTPUT));
  child.stderr?.on("data", (chunk: Buffer) => keep(chunk.toString()));
  const isReady = await new Promise<boolean>((settle) => {
    child.once("error", (error) => {
      keep(error.message);
      settle(false);
    });
    child.once("close", () => settle(false));
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on("line", (line) => {
      keep(`${line}\n`);
      if (line.includes('"msg":"ready"')) settle(true);
    });
  });
  if (!isReady) throw new Error(`The server of ${city} did not start. It said:\n${said}`);
}

async function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (child === undefined || !runs(child)) return;
  const exited = once(child, "exit");
  child.kill(signal);
  const impatience = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  await exited;
  clearTimeout(impatience);
}

function runs({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid !== undefined && exitCode === null && signalCode === null;
}

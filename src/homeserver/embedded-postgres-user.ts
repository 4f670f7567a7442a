import { type ChildProcess, type SpawnOptions, execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, lchownSync, readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/**
 * The user of the built-in PostgreSQL where we are root, which it refuses to be. A number without a
 * name, so that no other program on the machine runs as it; below 65 536, so that user namespaces
 * of containers have it.
 */
const PRIVATE_ID = 57_432;

/** Bits of a capability set, as in `/proc/self/status`. */
const CAP_DAC_OVERRIDE = 1n << 1n;
const CAP_DAC_READ_SEARCH = 1n << 2n;
const CAP_SETPCAP = 1n << 8n;

/** Who runs PostgreSQL when we are root. */
export type PostgresUser = { readonly uid: number; readonly gid: number };

/**
 * Who is to run the PostgreSQL of a data directory: `undefined` for ourselves, which is everyone
 * but root; for root the owner of what is there, if that is somebody else, and a user of its own if not.
 *
 * @throws Error when the cluster is somebody else's and we may not become him.
 */
export function postgresUser(dataDir: string, clusterDir: string): PostgresUser | undefined {
  const there = statSync(existsSync(clusterDir) ? clusterDir : dataDir);
  const self = process.getuid?.() ?? 0;
  if (self !== 0) {
    if (existsSync(clusterDir) && there.uid !== self) {
      throw new Error(
        `${clusterDir} belongs to user ${there.uid} and we are user ${self}: ` +
          `start as that user or as root, or give it to us with chown -R ${self} ${dataDir}`,
      );
    }
    return undefined;
  }
  if (process.getuid === undefined) return undefined;
  if (there.uid !== 0) return { uid: there.uid, gid: there.gid };
  const data = statSync(dataDir);
  return data.uid === 0 ? { uid: PRIVATE_ID, gid: PRIVATE_ID } : { uid: data.uid, gid: data.gid };
}

/** The user `nobody`: `initdb` wants one that has a name. */
export function namedUser(): PostgresUser {
  const ask = (flag: string) =>
    Number(execFileSync("id", [flag, "nobody"], { encoding: "utf8" }).trim());
  return { uid: ask("-u"), gid: ask("-g") };
}

/** Gives a directory and all that is in it to a user. Follows no link. */
export function giveTo(user: PostgresUser, directory: string): void {
  chownSync(directory, user.uid, user.gid);
  for (const entry of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    lchownSync(join(directory, entry), user.uid, user.gid);
  }
}

/**
 * Starts a program as a user.
 *
 * Where that user cannot reach the data or the programs, because they lie below a directory like
 * `/root`, it gets the one capability that lets it through. Root runs us, so it gives nothing away.
 *
 * @param reach directories that the program must be able to reach
 * @throws Error when it cannot, and no tool of the machine can help
 */
export function spawnAs(
  user: PostgresUser | undefined,
  [program, ...args]: readonly [string, ...string[]],
  options: SpawnOptions & { readonly reach: readonly string[] },
): ChildProcess {
  const { reach, ...rest } = options;
  if (user === undefined) return spawn(program, args, rest);
  const barred = reach.find((directory) => !canReach(user, directory));
  if (barred === undefined) return spawn(program, args, { ...rest, ...user });
  const capability = heldCapability();
  if (capability === undefined || !existsSync("/usr/bin/setpriv")) {
    throw new Error(
      `PostgreSQL must not run as root, and user ${user.uid} cannot reach ${barred}: ` +
        "put it where everyone may pass, or start as an ordinary user.",
    );
  }
  const privileges = [
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    "--clear-groups",
    `--inh-caps=+${capability}`,
    `--ambient-caps=+${capability}`,
    // Otherwise access(2), by which PostgreSQL looks for its own programs, leaves the capability out.
    "--securebits=+no_setuid_fixup",
  ];
  return spawn("/usr/bin/setpriv", [...privileges, program, ...args], rest);
}

function canReach(user: PostgresUser, directory: string): boolean {
  for (let at = resolve(directory); ; at = dirname(at)) {
    const { uid, gid, mode } = statSync(at);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

function heldCapability(): "dac_read_search" | "dac_override" | undefined {
  if (process.platform !== "linux") return undefined;
  const line = /^CapPrm:\s*([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "utf8"));
  const held = BigInt(`0x${line?.[1] ?? "0"}`);
  if ((held & CAP_SETPCAP) === 0n) return undefined;
  if ((held & CAP_DAC_READ_SEARCH) !== 0n) return "dac_read_search";
  return (held & CAP_DAC_OVERRIDE) === 0n ? undefined : "dac_override";
}

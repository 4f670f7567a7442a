import { readFile, stat } from "node:fs/promises";
import { isIP } from "node:net";
import type { Logger } from "pino";

/** How long an answer is given without a look at the file, in milliseconds. */
const LOOK_EVERY_MS = 1_000;

/** Names and their addresses, from a file that is read again when it has changed. */
export type HostsFile = {
  /** @returns undefined if the file does not have the name. */
  addressesOf(name: string): Promise<readonly string[] | undefined>;
};

/**
 * Opens a file in the form of `/etc/hosts`. One that cannot be read has no names; the log says so once.
 *
 * @param now milliseconds, from any start.
 */
export function openHostsFile(path: string, log: Logger, now: () => number): HostsFile {
  let names: ReadonlyMap<string, readonly string[]> = new Map();
  let version = "";
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | undefined;

  const look = async () => {
    try {
      const { mtimeMs, size, ino } = await stat(path);
      const found = `${mtimeMs} ${size} ${ino}`;
      if (found !== version) names = parseHosts(await readFile(path, "utf8"));
      version = found;
    } catch (error) {
      names = new Map();
      if (version !== "none") log.warn({ err: error, path }, "the hosts file cannot be read");
      version = "none";
    }
    lookedAtMs = now();
    looking = undefined;
  };

  return {
    async addressesOf(name) {
      if (now() - lookedAtMs >= LOOK_EVERY_MS) await (looking ??= look());
      return names.get(name.toLowerCase());
    },
  };
}

/** Reads lines of an address and its names. What is no such line is passed over. */
export function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (isIP(address.replace(/%.*$/, "")) === 0) continue;
    for (const name of names) {
      const key = name.toLowerCase();
      const known = found.get(key);
      if (!known) found.set(key, [address]);
      else if (!known.includes(address)) known.push(address);
    }
  }
  return found;
}

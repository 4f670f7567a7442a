import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { foundAuthority } from "#src/kit/private-authority.ts";
import { type Page, servePage } from "./page.ts";
import { PASSWORD } from "./person.ts";
import { tellStory } from "./story.ts";
import { foundSubsidiary, type Group, type Subsidiary } from "./subsidiary.ts";

// `npm run demo`: three servers on this machine, people who talk across them, and what lies where. With `--once` it ends
// after the story; otherwise the servers go on until Ctrl-C. Leaves nothing behind.

const { values: options } = parseArgs({ options: { once: { type: "boolean", default: false } } });

const stopping = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => stopping.abort());
}

const say = (line = "") => void process.stdout.write(`${line}\n`);
const directory = mkdtempSync(join(tmpdir(), "archipel-demo-"));
// If we are root, the databases are another user's, who must pass.
chmodSync(directory, 0o711);
const subsidiaries: Subsidiary[] = [];
let page: Page | undefined;

try {
  await demonstrate();
} catch (error) {
  // Whatever was under way when we were told to stop has come to nothing.
  if (!stopping.signal.aborted) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
} finally {
  await page?.close();
  await Promise.all(subsidiaries.map(async (one) => await one.stop()));
  rmSync(directory, { recursive: true, force: true });
}
process.exit();

async function demonstrate(): Promise<void> {
  const { signal } = stopping;
  const group = foundGroup();
  say("Three subsidiaries, each with a server and a database of its own, are founded in");
  say(`${directory}, which goes when this ends ...\n`);
  const three = [
    await foundSubsidiary(group, "Berlin"),
    await foundSubsidiary(group, "Lyon"),
    await foundSubsidiary(group, "Warsaw"),
  ] as const;
  subsidiaries.push(...three);
  await Promise.all(three.map(async (one) => await one.start()));
  signal.throwIfAborted();
  say("Servers");
  for (const { city, serverName, url, pid } of three) {
    say(`  ${city.padEnd(8)}${serverName.padEnd(20)}clients: ${url}  process ${pid}`);
  }
  const rooms = new Map<string, string>();
  page = await servePage(three, rooms);
  say(`  Which events lie where, at every moment: ${page.url}\n`);
  await tellStory(three, { say, rooms, signal });
  if (options.once) return;
  say(
    `\nThe servers go on: log in at one of them with a client, as anna, claire or dawid, with the`,
  );
  say(`password "${PASSWORD}". Ctrl-C ends them and removes everything.`);
  if (!signal.aborted) await once(signal, "abort");
}

function foundGroup(): Group {
  const authority = foundAuthority("Archipel demonstration");
  const [caFile, hostsFile] = [join(directory, "ca.pem"), join(directory, "hosts")];
  writeFileSync(caFile, authority.cert);
  writeFileSync(hostsFile, "127.0.0.1 berlin.test lyon.test warsaw.test\n");
  const sharedSecret = randomBytes(16).toString("hex");
  const { signal } = stopping;
  return { directory, authority, caFile, hostsFile, sharedSecret, signal };
}

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "#src/kit/free-port.ts";
import { testDirectory } from "#src/testing-directory.ts";
import { type HomeserverUnderTest, isOutside, startHomeserver } from "../homeserver-under-test.ts";
import { lacks } from "../needs.ts";
import { runAuthority } from "../run-authority.ts";
import { startSynapse, type SynapseUnderTest } from "../synapse-under-test.ts";

/** One of two servers, as far as its users see it. */
export type Peer = { readonly url: string; readonly serverName: string };

/** A server of ours and a Synapse that can reach each other. */
export type Pair = {
  readonly ours: HomeserverUnderTest & Peer;
  readonly synapse: SynapseUnderTest;
  dispose(): Promise<void>;
};

/** Set by `global-setup.ts`: where tests ask for the pair that those of a run share. */
export const SHARED_PAIR = "ARCHIPEL_TEST_PAIR";

/** The first one starts the servers. */
const START_TIMEOUT_MS = 120_000;

/** Whether there can be no pair: no Synapse, or not one of ours but a server that somebody else started. */
export async function lacksPair(): Promise<boolean> {
  return isOutside || (await lacks("synapse"));
}

/** The pair that the tests of a run share. Nobody ends one of its servers. */
export async function sharedPair(): Promise<{ readonly ours: Peer; readonly synapse: Peer }> {
  const started = await fetch(process.env[SHARED_PAIR] ?? "", {
    method: "POST",
    signal: AbortSignal.timeout(START_TIMEOUT_MS),
  });
  if (!started.ok) throw new Error(await started.text());
  return (await started.json()) as { ours: Peer; synapse: Peer };
}

/**
 * Starts a pair. One has an address for a name and the other a host name: what goes by names, as server ACLs do,
 * sees two hosts.
 *
 * @param env more of our server's environment: see `deploy/conformance/start`.
 */
export async function startPair(env: Readonly<Record<string, string>> = {}): Promise<Pair> {
  const directory = testDirectory();
  const fileOf = (name: string, text: string) => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  const { caFile, certificate } = runAuthority();
  const [ourPort, itsPort] = [await freePort(), await freePort()];
  const serverName = `127.0.0.1:${ourPort}`;
  const starting = startHomeserver({
    env: {
      SERVER_NAME: serverName,
      FEDERATION_PORT: String(ourPort),
      TLS_CERT: fileOf("own.crt", certificate.cert),
      TLS_KEY: fileOf("own.key", certificate.key),
      CA_CERT: caFile,
      HOSTS_FILE: fileOf("hosts", "127.0.0.1 localhost\n"),
      ...env,
    },
  });
  const started = await Promise.allSettled([
    starting,
    startSynapse({
      serverName: `localhost:${itsPort}`,
      caFile,
      tls: { port: itsPort, certificate },
    }),
  ]);
  const [ours, synapse] = started;
  if (ours.status === "rejected" || synapse.status === "rejected") {
    if (ours.status === "fulfilled") await ours.value.dispose();
    if (synapse.status === "fulfilled") await synapse.value.dispose();
    throw ours.status === "rejected" ? ours.reason : (synapse as PromiseRejectedResult).reason;
  }
  return {
    ours: Object.assign(ours.value, { serverName }),
    synapse: synapse.value,
    async dispose() {
      await Promise.all([ours.value.dispose(), synapse.value.dispose()]);
    },
  };
}

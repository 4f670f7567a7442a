import { startOnDemand } from "../start-on-demand.ts";
import { type Pair, startPair } from "./pair.ts";

/**
 * Starts the pair for the tests of a run, when the first of them asks for it.
 *
 * @returns the address to ask at, and what ends both.
 */
export async function sharePair(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  let pair: Pair | undefined;
  const demand = await startOnDemand(async () => {
    pair = await startPair();
    const namesOf = ({ url, serverName }: Pair["ours"] | Pair["synapse"]) => ({ url, serverName });
    return { ours: namesOf(pair.ours), synapse: namesOf(pair.synapse) };
  });
  return {
    url: demand.url,
    async stop() {
      demand.close();
      await pair?.dispose();
    },
  };
}

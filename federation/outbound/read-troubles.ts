import { Gauge } from "prom-client";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { type Trouble, troubledDestinations } from "./queries-destinations.ts";

const destinations = new Gauge({
  name: "archipel_outbound_destinations",
  help: "Other servers that are owed something (owed), and those that do not answer (failing). The same in all processes.",
  labelNames: ["state"] as const,
  registers: [registry],
});
const partnerBehind = new Gauge({
  name: "archipel_partner_behind_positions",
  help: "How far a partner is behind in the streams: 0 if it has taken everything.",
  labelNames: ["partner"] as const,
  registers: [registry],
});
const partnerFailing = new Gauge({
  name: "archipel_partner_failing_seconds",
  help: "For how long a partner has not answered: 0 if it does.",
  labelNames: ["partner"] as const,
  registers: [registry],
});

/**
 * Looks for destinations that are behind or do not answer, whichever process has them, and shows them.
 *
 * @returns those that do not answer, and in how long the first of them is to be tried again.
 */
export async function readTroubles(
  hs: Homeserver,
): Promise<{ readonly failing: readonly ServerName[]; readonly retryInMs: number }> {
  const troubles = await troubledDestinations(hs.sql);
  show(hs, troubles);
  const failing = troubles.filter((it) => it.failingMs !== null);
  const waits = failing.flatMap((it) => (it.retryInMs > 0 ? [it.retryInMs] : []));
  return { failing: failing.map((it) => it.serverName), retryInMs: Math.min(...waits) };
}

function show(hs: Homeserver, troubles: readonly Trouble[]): void {
  const isOwed = ({ behind }: Trouble) => behind > 0;
  destinations.set({ state: "owed" }, troubles.filter(isOwed).length);
  destinations.set(
    { state: "failing" },
    troubles.filter(({ failingMs }) => failingMs !== null).length,
  );
  const byName = new Map<string, Trouble>(troubles.map((it) => [it.serverName, it]));
  for (const partner of hs.config.federation.partners) {
    const trouble = byName.get(partner);
    partnerBehind.set({ partner }, Math.max(0, trouble?.behind ?? 0));
    partnerFailing.set({ partner }, (trouble?.failingMs ?? 0) / 1000);
  }
}

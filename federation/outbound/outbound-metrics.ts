import { Counter } from "prom-client";
import { registry } from "#src/homeserver/metrics.ts";

export const transactions = new Counter({
  name: "archipel_outbound_transactions_total",
  help: "Transactions sent to other servers: taken, refused, malformed answers, or unreachable.",
  labelNames: ["outcome"] as const,
  registers: [registry],
});
export const sent = new Counter({
  name: "archipel_outbound_sent_total",
  help: "Events (pdu) and other things (edu) that other servers have taken.",
  labelNames: ["kind"] as const,
  registers: [registry],
});
export const passedOver = new Counter({
  name: "archipel_outbound_passed_over_total",
  help: "Things that a server was owed and refused, while it took others.",
  registers: [registry],
});

import { Counter, Histogram } from "prom-client";
import { registry } from "#src/homeserver/metrics.ts";

/** Bytes of files that clients and other servers have sent us, and that we have begun to send to them. */
export const mediaBytes = new Counter({
  name: "archipel_media_bytes_total",
  help: "Bytes of files, by direction: up from clients, down to clients, in from other servers, out to them.",
  labelNames: ["direction"] as const,
  registers: [registry],
});

/** What has become of requests for thumbnails that had not been made. */
export const thumbnailSeconds = new Histogram({
  name: "archipel_media_thumbnail_seconds",
  help: "Time to make a thumbnail, by outcome: made, original or refused.",
  labelNames: ["outcome"] as const,
  buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10],
  registers: [registry],
});

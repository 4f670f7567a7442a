import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { collectDefaultMetrics, Registry } from "prom-client";
import { type Address, listenAt } from "./listen-at.ts";

/** Everything this process measures. Each file declares its own metrics and registers them here. */
export const registry = new Registry();

/**
 * How often the lag of the event loop is looked at, in milliseconds, which are part of what is measured. To look a hundred
 * times a second, as is usual, wakes a process at rest more often than everything else does, and costs it half its CPU.
 */
const LOOK_EVERY_MS = 50;

/** Starts to measure the process itself: CPU, memory, garbage collection, event-loop lag. Once a process. */
export function measureProcess(): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOK_EVERY_MS });
}

/** A listener that is open, and where. */
export type MetricsListener = {
  readonly port: number;
  close(): Promise<void>;
};

/**
 * Serves `GET /metrics` in the Prometheus text format, apart from the clients' listener: it tells of the inside
 * and nobody logs in to it.
 *
 * @throws Error when it cannot listen there.
 */
export async function serveMetrics(address: Address): Promise<MetricsListener> {
  const server = createServer((request, response) => {
    if (request.method !== "GET" || request.url?.split("?")[0] !== "/metrics") {
      response.writeHead(404).end();
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { "content-type": registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  const port = await listenAt(server, address, "metrics");
  return { port, close: async () => await close(server) };
}

async function close(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}

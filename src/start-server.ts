import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type RequestListener, type Server as HttpServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { getRequestListener } from "@hono/node-server";
import type { Logger } from "pino";
import { greetServers } from "#federation/outbound/greet-servers.ts";
import { runOutbound } from "#federation/outbound/run-outbound.ts";
import { registerSenders } from "#src/accounts/appservice-users.ts";
import { runFeeds } from "#src/bridging/run-feeds.ts";
import type { Config } from "#src/config/config.ts";
import { awaitDatabase } from "#src/homeserver/await-database.ts";
import { startEmbeddedPostgres } from "#src/homeserver/embedded-postgres.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Address, inUrl, listenAt } from "#src/homeserver/listen-at.ts";
import { measureProcess, serveMetrics } from "#src/homeserver/metrics.ts";
import { migrateDatabase } from "#src/homeserver/migrate-database.ts";
import { malformedResponse, refuseMalformed } from "#src/http/malformed-request.ts";
import { renewCertificate } from "#src/http/renew-certificate.ts";
import { runJobs } from "#src/jobs/run-jobs.ts";
import { watchFileStore } from "#src/media/watch-file-store.ts";
import { runPushers } from "#src/pushers/run-pushers.ts";
import { finishingEnds } from "#src/rooms/partial/finish-partial-room.ts";
import { runDelayedEvents } from "#src/sending/run-delayed-events.ts";
import { runFollowers } from "#src/streams/run-followers.ts";
import { appOf } from "./app.ts";
import { openHomeserver } from "./open-homeserver.ts";
import { FOLLOWERS, JOBS } from "./roles.ts";

/** A server that answers requests. */
export type RunningServer = {
  readonly hs: Homeserver;
  /** Where plain HTTP listens, as in `http://127.0.0.1:8008`. */
  readonly url: string;
  /** Answers what has been asked, for a moment, and ends. */
  stop(): Promise<void>;
};

/** How long a request may take to come whole. */
const LONGEST_REQUEST_MS = 60 * 60 * 1000;

/** How long requests that are being answered may take when the server stops. */
const GRACE_MS = 2_000;

export type StartOptions = {
  readonly log: Logger;
  /** Aborted by whoever does not want the server any more before it has started. */
  readonly signal: AbortSignal;
  /** Told when the server cannot go on. */
  readonly onFatal: (cause: Error) => void;
};

/**
 * Starts everything: the database if it is ours, its tables, the streams, the listeners. When it throws, nothing
 * of it runs any more.
 *
 * @throws what `signal` was aborted with, and Error that says what stands in the way.
 */
export async function startServer(config: Config, options: StartOptions): Promise<RunningServer> {
  const { log, signal, onFatal } = options;
  const ends: (() => Promise<void>)[] = [];
  let beginToStop = () => {};
  const stop = async () => {
    beginToStop();
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const databaseUrl = config.database.url ?? (await ownDatabase(config, options, ends));
    const isShared = config.database.url !== null;
    if (isShared) await awaitDatabase(databaseUrl, { log, signal });
    await migrateDatabase(databaseUrl, { isShared, log, signal });
    signal.throwIfAborted();
    const settings = { ...config };
    const opened = await openHomeserver(settings, { databaseUrl, log, onFatal });
    const { hs } = opened;
    beginToStop = () => opened.beginToStop();
    ends.push(async () => await opened.close());
    await registerSenders(hs);
    opened.until(runJobs(hs, JOBS));
    opened.until(runFollowers(hs, FOLLOWERS));
    opened.until(runOutbound(hs));
    opened.until(runPushers(hs));
    opened.until(runDelayedEvents(hs));
    opened.until(runFeeds(hs));
    opened.until(finishingEnds(hs));
    opened.until(watchFileStore(hs));
    if (config.metrics.enabled) {
      measureProcess();
      const metrics = await serveMetrics(config.metrics);
      ends.push(async () => await metrics.close());
    }
    const app = appOf(hs);
    // Those who check our health speak HTTP/1.0, and name no host.
    const answering = { errorHandler: malformedResponse, hostname: "localhost" };
    const listener = getRequestListener(app.fetch, answering);
    const answer: RequestListener = (incoming, outgoing) => void listener(incoming, outgoing);
    const server = createServer(answer);
    const { port, close } = await listen(server, config.listener, "listener");
    ends.push(close);
    // A free port is known only now, and none of our addresses has been told to anybody before.
    settings.publicBaseUrl = config.publicBaseUrl.replace(/:0$/, `:${port}`);
    if (config.tlsListener) {
      const { certFile, keyFile } = config.tlsListener;
      const pem = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
      const tls = createTlsServer(pem, answer);
      ends.push((await listen(tls, config.tlsListener, "tlsListener")).close);
      const ended = renewCertificate(tls, config.tlsListener, pem, { log });
      ends.push(async () => ended());
    }
    signal.throwIfAborted();
    // Those who hear of us send at once what they could not: by now there is somebody to take it.
    opened.until(greetServers(hs));
    return { hs, url: `http://${inUrl({ host: config.listener.host, port })}`, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function ownDatabase(
  config: Config,
  { log, signal, onFatal }: StartOptions,
  ends: (() => Promise<void>)[],
): Promise<string> {
  const postgres = await startEmbeddedPostgres({
    dataDir: config.dataDir,
    log,
    signal,
    onGivenUp: onFatal,
  });
  ends.push(async () => await postgres.stop());
  return postgres.url;
}

async function listen(
  server: HttpServer,
  address: Address,
  section: "listener" | "tlsListener",
): Promise<{ port: number; close: () => Promise<void> }> {
  // Clients that poll keep their connections; a proxy before us closes idle ones first.
  server.keepAliveTimeout = 75_000;
  // Large files over slow lines take their time; headers do not.
  server.requestTimeout = LONGEST_REQUEST_MS;
  server.on("clientError", refuseMalformed);
  const port = await listenAt(server, address, section);
  const close = async () => {
    const closed = once(server, "close");
    server.close();
    // A connection is idle once its request has been answered, not before.
    const idle = setInterval(() => server.closeIdleConnections(), 20);
    const timer = setTimeout(() => server.closeAllConnections(), GRACE_MS);
    await closed;
    clearInterval(idle);
    clearTimeout(timer);
  };
  return { port, close };
}

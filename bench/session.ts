import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "#src/kit/free-port.ts";
import { foundAuthority } from "#src/kit/private-authority.ts";
import type { Answered, Asked, Question } from "./load/remote-stage.ts";
import type { Measurement, Size } from "./load/stage.ts";
import { type Gauged, type Reading, readGauge, untilQuiet, usageBetween } from "./measure/gauge.ts";
import {
  type BenchPostgres,
  createDatabase,
  dropDatabase,
  vacuumedBytes,
  waitingMessages,
} from "./measure/postgres-counters.ts";
import { forgetPeak, memoryOf, treeUsage } from "./measure/process-tree.ts";
import { archipelCommand } from "./servers/archipel.ts";
import {
  type Command,
  type PasswordCost,
  type Place,
  type RunningServer,
  type ServerKind,
  startServer,
} from "./servers/server-under-test.ts";
import { synapseCommand } from "./servers/synapse.ts";

/** One server, fresh, under one workload. */
export type SessionPlan = {
  readonly server: ServerKind;
  readonly workload: string;
  readonly cases: readonly string[];
  readonly size: Size;
  /** A directory for the session alone. */
  readonly dir: string;
  readonly postgres: BenchPostgres | undefined;
  readonly passwordCost?: PasswordCost | undefined;
  /** Ends the load before its time; the server and its database go as they do at any end. */
  readonly interrupted: AbortSignal;
};

const HOST = "127.0.0.1";

/** A server does by the clock what can wait: ours takes what was said into the index of its search every five seconds. */
const BY_THE_CLOCK_MS = 6_000;

/**
 * Starts a server on an empty database, puts it under a workload, and ends it.
 *
 * @param onMeasurement told of each case as it is done
 * @throws Error when the load failed or found a fault in what was delivered
 */
export async function runSession(
  plan: SessionPlan,
  onMeasurement: (measurement: Measurement) => void,
): Promise<void> {
  mkdirSync(plan.dir, { recursive: true });
  const database = `bench_${process.pid}_${Date.now()}`;
  const { postgres } = plan;
  const databaseUrl = postgres === undefined ? "" : await createDatabase(postgres, database);
  const target = { host: HOST, port: await freePort(HOST) };
  const { passwordCost = "cheapest" } = plan;
  const federation = foundFederation(plan.dir);
  const place = { dir: plan.dir, target, databaseUrl, federation, passwordCost };
  const command = await commandOf(plan.server, place);
  const launch = { target: place.target, logFile: join(plan.dir, `${plan.server}.log`) };
  const state: SessionState = {
    server: await startServer(command, launch),
    before: undefined,
    postgres,
    database,
    onMeasurement,
    restart: async () => {
      // The null server has its rooms in memory alone.
      if (plan.server === "null") return;
      await state.server.stop();
      state.server = await startServer(command, launch);
    },
  };
  try {
    await runLoad(plan, place, async (question) => await answer(state, question));
  } finally {
    await state.server.stop();
    if (postgres !== undefined) await dropDatabase(postgres, database);
  }
}

type SessionState = {
  server: RunningServer;
  before: Reading | undefined;
  readonly postgres: BenchPostgres | undefined;
  readonly database: string;
  readonly onMeasurement: (measurement: Measurement) => void;
  readonly restart: () => Promise<void>;
};

/** An authority for this run, and a certificate for the other servers that the load makes. */
function foundFederation(dir: string): Place["federation"] {
  const authority = foundAuthority("Archipel bench");
  const { cert, key } = authority.issue(HOST);
  const write = (name: string, pem: string) => {
    writeFileSync(join(dir, name), pem, { mode: 0o600 });
    return join(dir, name);
  };
  return {
    serverName: "bench.example",
    caFile: write("ca.pem", authority.cert),
    certFile: write("peer-cert.pem", cert),
    keyFile: write("peer-key.pem", key),
  };
}

async function commandOf(server: ServerKind, place: Place): Promise<Command> {
  if (server === "synapse") return await synapseCommand(place);
  if (server === "archipel") return archipelCommand(place);
  const program = join(import.meta.dirname, "servers", "null-server.ts");
  return { program: process.execPath, args: [program, String(place.target.port), HOST] };
}

async function runLoad(
  { workload, cases, size, interrupted }: SessionPlan,
  { target, federation }: Place,
  answerTo: (question: Question) => Promise<unknown>,
): Promise<void> {
  const orders = JSON.stringify({ workload, cases, size, target, federation });
  const load = fork(join(import.meta.dirname, "load", "main.ts"), [orders], {
    signal: interrupted,
  });
  load.on("message", (asked: Asked) => {
    const { number } = asked;
    const send = (answered: Answered) => load.connected && load.send(answered);
    answerTo(asked.question).then(
      (value) => send({ number, value }),
      (error: unknown) => send({ number, fault: error instanceof Error ? error.message : "?" }),
    );
  });
  const [status] = await once(load, "exit");
  if (status !== 0) throw new Error(`The load of ${workload} ended with a fault.`);
}

async function answer(state: SessionState, question: Question): Promise<unknown> {
  const { server, postgres } = state;
  const how = server.howEnded();
  if (how !== undefined) throw new Error(`The server ended by itself (${how}).`);
  const gauged = { pid: server.pid, ...(postgres && { postgres }) };
  switch (question.kind) {
    case "begin":
      await untilQuiet(gauged);
      forgetPeak(server.pid);
      state.before = await readGauge(gauged);
      return undefined;
    case "end":
      await untilQuiet(gauged);
      return usageSince(state, await readGauge(gauged));
    case "memory":
      await untilQuiet(gauged);
      return {
        serverRssBytes: treeUsage(server.pid).rssBytes,
        serverBytes: memoryOf(server.pid),
        postgresBytes: postgres === undefined ? 0 : memoryOf(postgres.postmaster),
      };
    case "waitingMessages":
    case "databaseBytes":
      return await askDatabase(state, question.kind);
    case "settle":
      await settled(gauged);
      return undefined;
    case "restart":
      await settled(gauged);
      await state.restart();
      return undefined;
    case "report":
      return state.onMeasurement(question.measurement);
  }
}

/** What is left to be done for what came before would be done, and counted, later. */
async function settled(gauged: Gauged): Promise<void> {
  await sleep(BY_THE_CLOCK_MS);
  await untilQuiet(gauged);
}

/** The null server has none, and nothing in it. */
async function askDatabase(
  { postgres, database }: SessionState,
  what: "waitingMessages" | "databaseBytes",
): Promise<number> {
  if (postgres === undefined) return 0;
  const figure = what === "databaseBytes" ? vacuumedBytes : waitingMessages;
  return await figure(postgres, database);
}

function usageSince({ before }: SessionState, after: Reading) {
  if (before === undefined) throw new Error("Nothing was begun that could end.");
  return usageBetween(before, after);
}

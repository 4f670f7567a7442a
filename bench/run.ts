/** Measures our server, and others beside it: `npm run bench -- --help`. */
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, rmSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { startEmbeddedPostgres } from "#src/homeserver/embedded-postgres.ts";
import { createLogger } from "#src/homeserver/log.ts";
import { compareMachine, verificationMicros } from "./measure/machine-speed.ts";
import { type BenchPostgres, openBenchPostgres } from "./measure/postgres-counters.ts";
import { type BenchOptions, readOptions, USAGE } from "./options.ts";
import type { ServerKind } from "./servers/server-under-test.ts";
import { runSession } from "./session.ts";
import { type Result, summarise } from "./summary.ts";
import { renderTable } from "./table.ts";
import { WORKLOADS } from "./workloads/all.ts";
import { chosenCases } from "./workloads/workload.ts";

const ROOT = join(import.meta.dirname, "..");

if (process.argv.includes("--help")) process.stdout.write(USAGE);
else {
  process.exitCode = await bench(process.argv.slice(2)).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : "?"}\n`);
    return 1;
  });
}

/** @returns the exit status: 1 when anything failed, also a check of what was delivered. */
async function bench(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (WORKLOADS.every((one) => chosenCases(one, options).length === 0)) {
    throw new Error(`No workload or case is called ${options.only.join(" or ")}.`);
  }
  const started = new Date().toISOString().replaceAll(/[:.]/g, "-");
  const file = join(import.meta.dirname, "results", `${started}.jsonl`);
  // On the disk of the repository: /tmp may be memory, where waiting for the disk costs nothing.
  const dir = join(ROOT, ".cache", "bench", `${started}-${process.pid}`);
  mkdirSync(join(file, ".."), { recursive: true });
  mkdirSync(dir, { recursive: true });
  const write = (line: object) => appendFileSync(file, `${JSON.stringify(line)}\n`);
  const interrupted = untilInterrupted();
  const database = await openDatabaseServer(options, join(dir, "postgres"));
  let failed: string[];
  try {
    const before = verificationMicros();
    write({
      machine: { ...machine(), verificationMicros: before },
      commit: commit(),
      options,
      postgres: database?.postgres.settings,
    });
    const { results, failures } = await runAll(options, {
      dir,
      postgres: database?.postgres,
      write,
      interrupted,
    });
    failed = failures;
    const after = verificationMicros();
    write({ verificationMicros: after });
    process.stdout.write(`${renderTable(summarise(results))}\n\n`);
    process.stdout.write(`${compareMachine([before, after])}\n`);
  } finally {
    await database?.close();
  }
  process.stdout.write(`Every figure of every run: ${file}\n`);
  for (const failure of failed) process.stdout.write(`FAILED ${failure}\n`);
  if (failed.length === 0) rmSync(dir, { recursive: true, force: true });
  else process.stdout.write(`What the servers said: ${dir}\n`);
  return failed.length === 0 ? 0 : 1;
}

type Bench = {
  readonly dir: string;
  readonly postgres: BenchPostgres | undefined;
  readonly write: (line: object) => void;
  readonly interrupted: AbortSignal;
};

async function runAll(options: BenchOptions, { dir, postgres, write, interrupted }: Bench) {
  const results: Result[] = [];
  const failures: string[] = [];
  for (const one of WORKLOADS) {
    const { id: workload, title } = one;
    const cases = chosenCases(one, options);
    if (cases.length === 0) continue;
    for (const { server, repetition } of turns(options)) {
      if (server === "null" && one.beyondNull === true) continue;
      if (interrupted.aborted) return { results, failures: [...failures, "It was interrupted."] };
      process.stderr.write(`${workload} (${title}), ${server}, run ${repetition + 1}\n`);
      const own = join(dir, `${workload}-${server}-${repetition}`);
      const about = { server, workload, cases, size: options.size, dir: own, postgres };
      const plan = { ...about, passwordCost: one.passwordCost, interrupted };
      try {
        await runSession(plan, (measurement) => {
          const result = { server, repetition, measurement };
          results.push(result);
          write(result);
        });
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        failures.push(`${workload}, ${server}, run ${repetition + 1}: ${why}`);
        write({ server, repetition, workload, failed: why });
      }
    }
  }
  return { results, failures };
}

/** Aborts at the first wish to end, so that what was started is put away; a second one ends us at once. */
function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => controller.abort());
  return controller.signal;
}

/** A, B, then B, A, and so on: whatever drifts on the machine meets both alike. */
function turns({ servers, repeat }: BenchOptions) {
  const all: { readonly server: ServerKind; readonly repetition: number }[] = [];
  for (let repetition = 0; repetition < repeat; repetition++) {
    const order = repetition % 2 === 0 ? servers : servers.toReversed();
    all.push(...order.map((server) => ({ server, repetition })));
  }
  return all;
}

async function openDatabaseServer({ servers, databaseUrl }: BenchOptions, dataDir: string) {
  if (servers.every((server) => server === "null")) return undefined;
  if (databaseUrl !== undefined) {
    const postgres = await openBenchPostgres(databaseUrl);
    return { postgres, close: async () => await postgres.admin.end() };
  }
  const log = createLogger({ level: "warn", format: "auto" });
  const embedded = await startEmbeddedPostgres({ dataDir, log });
  const postgres = await openBenchPostgres(embedded.url);
  return {
    postgres,
    async close() {
      await postgres.admin.end();
      await embedded.stop();
    },
  };
}

function machine() {
  const [first] = cpus();
  return { cpus: cpus().length, model: first?.model, memory: totalmem(), node: process.version };
}

function commit(): string | undefined {
  try {
    return execFileSync("git", ["rev-parse", "HEAD"], { cwd: ROOT, encoding: "utf8" }).trim();
  } catch {
    return undefined; // An archive of the sources has none.
  }
}

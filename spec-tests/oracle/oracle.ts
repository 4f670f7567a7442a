import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PackagesMissingError } from "../python-packages.ts";
import { installedOracle } from "./install.ts";

/** What the driver answers when Synapse will not have something. */
export type Refusal = { readonly refused: string; readonly reason: string };

export type CanonicalAnswer = { readonly json: string; readonly strict: boolean } | Refusal;

export type EventAnswer =
  | {
      readonly eventId: string;
      readonly contentHash: string;
      readonly referenceHash: string;
      /** Canonical JSON, without `unsigned`. */
      readonly redacted: string;
      readonly hashMatches: boolean;
    }
  | Refusal;

export type OracleVerdict = { readonly allowed: true } | ({ readonly allowed: false } & Refusal);

export type AuthoriseAnswer =
  | { readonly byAuthEvents: OracleVerdict; readonly byState: OracleVerdict }
  | Refusal;

/** Events of one room by their JSON text; everything else names them by their places in `pool`. */
export type PoolItem = {
  readonly version: string;
  readonly pool: readonly string[];
  readonly rejected: readonly number[];
};
export type AuthoriseItem = PoolItem & {
  readonly cases: readonly { readonly text: string; readonly state: readonly number[] }[];
};
export type ResolveItem = PoolItem & { readonly sets: readonly (readonly number[])[] };

export type ResolveAnswer =
  | { readonly state: readonly (readonly [string, string, string])[]; readonly inMemory: boolean }
  | Refusal;
export type TimeAnswer = { readonly milliseconds: readonly number[]; readonly digest: string };

/** Synapse's public functions, in its own interpreter. Give it many items at a time. */
export type Oracle = {
  canonical(items: readonly { text: string }[]): Promise<CanonicalAnswer[]>;
  event(items: readonly { version: string; text: string }[]): Promise<EventAnswer[]>;
  /** For each item, an answer for each of its cases. */
  authorise(items: readonly AuthoriseItem[]): Promise<AuthoriseAnswer[][]>;
  resolve(items: readonly ResolveItem[]): Promise<ResolveAnswer[]>;
  time(items: readonly (ResolveItem & { repeat: number })[]): Promise<TimeAnswer[]>;
  close(): Promise<void>;
};

/**
 * Starts the oracle.
 *
 * @throws PackagesMissingError if it is not installed.
 */
export async function openOracle(): Promise<Oracle> {
  const python = await installedOracle();
  if (!python) {
    throw new PackagesMissingError(
      "Run `node spec-tests/oracle/install.ts` to install the oracle.",
    );
  }
  const child = spawn(python, [join(import.meta.dirname, "driver.py")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();

  // One request at a time: an answer belongs to the request before it.
  let last: Promise<unknown> = Promise.resolve();
  const ask = <Answer>(op: string, items: readonly unknown[]): Promise<Answer[]> => {
    const answer = last.then(async () => {
      child.stdin.write(`${JSON.stringify({ op, items })}\n`);
      const line = await lines.next();
      if (line.done) throw new Error(`the oracle died on ${op}`);
      return (JSON.parse(line.value) as { results: Answer[] }).results;
    });
    last = answer.catch(() => undefined);
    return answer;
  };

  return {
    canonical: (items) => ask("canonical", items),
    event: (items) => ask("event", items),
    authorise: (items) => ask("authorise", items),
    resolve: (items) => ask("resolve", items),
    time: (items) => ask("time", items),
    async close() {
      child.stdin.end();
      if (child.exitCode === null) await once(child, "exit");
    },
  };
}

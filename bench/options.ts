import { parseArgs } from "node:util";
import { z } from "zod";
import type { Size } from "./load/stage.ts";
import type { ServerKind } from "./servers/server-under-test.ts";

/** What a run was asked for. */
export type BenchOptions = {
  readonly servers: readonly ServerKind[];
  readonly only: readonly string[];
  readonly size: Size;
  readonly repeat: number;
  readonly databaseUrl?: string;
};

/** How to call it. */
export const USAGE = `npm run bench -- [options]

  --only W1,W4/100     workloads or cases (default: all that belong to the size)
  --size S|M|L         under a minute each, some minutes, hours (default: S)
  --repeat N           repetitions; medians are shown (default: 1; publish none from fewer than 5)
  --vs synapse         the same against a Synapse on the same PostgreSQL, in turns
  --null               the load alone, against a server that does nothing
  --servers LIST       archipel, synapse, null: those and no others
  --database-url URL   a local PostgreSQL to make databases on (default: one of our own)
`;

const server = z.enum(["archipel", "synapse", "null"]);

/**
 * Reads the command line.
 *
 * @throws Error that says which option is wrong
 */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", default: "" },
      size: { type: "string", default: "S" },
      repeat: { type: "string", default: "1" },
      vs: { type: "string" },
      null: { type: "boolean", default: false },
      servers: { type: "string" },
      "database-url": { type: "string" },
    },
  });
  const databaseUrl = values["database-url"];
  return {
    servers: serversOf(values),
    only: listOf(values.only),
    size: read(z.enum(["S", "M", "L"]), "--size", values.size),
    repeat: read(z.coerce.number().int().min(1).max(100), "--repeat", values.repeat),
    ...(databaseUrl !== undefined && { databaseUrl }),
  };
}

function serversOf(values: { vs?: string; null: boolean; servers?: string }): ServerKind[] {
  const named = read(z.array(server), "--servers", listOf(values.servers ?? ""));
  if (named.length > 0) return named;
  if (values.null) return ["null"];
  return values.vs === undefined ? ["archipel"] : ["archipel", read(server, "--vs", values.vs)];
}

function read<T>(schema: z.ZodType<T>, option: string, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new Error(`${option}: ${result.error.issues.map(({ message }) => message).join("; ")}`);
}

function listOf(text: string): string[] {
  return text.split(",").filter((part) => part !== "");
}

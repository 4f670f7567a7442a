import { readdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { documentAt, isRecord, resolved } from "./load-yaml.ts";

/** The APIs that this server has answers for. */
const APIS = ["client-server", "server-server"] as const;

/** An operation as the specification describes it. */
export type SpecifiedOperation = {
  readonly api: (typeof APIS)[number];
  readonly operationId: string;
  readonly method: string;
  /** As in `/_matrix/client/v3/rooms/{roomId}/state`. */
  readonly path: string;
  /** The schemas of its JSON answers, by status. */
  readonly schemas: ReadonlyMap<number, object>;
};

/** What is read of a file of the specification. */
const DescribedOperation = z.object({
  operationId: z.string(),
  responses: z.record(z.string(), z.unknown()).default({}),
});
type DescribedOperation = z.infer<typeof DescribedOperation>;
const Described = z.object({
  servers: z
    .array(z.object({ variables: z.object({ basePath: z.object({ default: z.string() }) }) }))
    .default([]),
  paths: z
    .record(
      z.string(),
      z.object({
        get: DescribedOperation.optional(),
        put: DescribedOperation.optional(),
        post: DescribedOperation.optional(),
        delete: DescribedOperation.optional(),
      }),
    )
    .default({}),
});
const Response = z.object({
  content: z.record(z.string(), z.object({ schema: z.unknown() })).default({}),
});

const METHODS = ["get", "put", "post", "delete"] as const;

/** Every operation of these APIs, from the specification's sources. */
export function specifiedOperations(directory: string): SpecifiedOperation[] {
  return APIS.flatMap((api) => {
    const folder = join(directory, "api", api);
    const files = readdirSync(folder).filter((it) => it.endsWith(".yaml"));
    return files.flatMap((file) => operationsOf(api, join(folder, file)));
  });
}

function operationsOf(api: SpecifiedOperation["api"], path: string): SpecifiedOperation[] {
  const { servers, paths } = Described.parse(documentAt(path));
  const base = servers[0]?.variables.basePath.default ?? "";
  return Object.entries(paths).flatMap(([template, item]) =>
    METHODS.flatMap((method) => {
      const operation = item[method];
      if (operation === undefined) return [];
      const specified: SpecifiedOperation = {
        api,
        operationId: operation.operationId,
        method: method.toUpperCase(),
        // Where a path stands twice in the specification, a space at its end tells the two apart.
        path: (base + template).trim(),
        // Read when it is asked for: most are not.
        get schemas() {
          return schemasOf(operation, path);
        },
      };
      return [specified];
    }),
  );
}

const schemasByOperation = new WeakMap<object, ReadonlyMap<number, object>>();

function schemasOf(operation: DescribedOperation, path: string): ReadonlyMap<number, object> {
  const known = schemasByOperation.get(operation);
  if (known) return known;
  const responses = Object.entries(operation.responses).flatMap(([status, response]) => {
    const schema = Response.parse(resolved(response, path)).content["application/json"]?.schema;
    return isRecord(schema) ? [[Number(status), schema] as const] : [];
  });
  const schemas = new Map(responses);
  schemasByOperation.set(operation, schemas);
  return schemas;
}

/** The operation that a request is for. Paths of old versions are those of the newest. */
export function operationAt(
  operations: readonly SpecifiedOperation[],
  method: string,
  path: string,
): SpecifiedOperation | undefined {
  const parts = path.split("?")[0]?.replace("/r0/", "/v3/").split("/") ?? [];
  const found = operations.filter((it) => {
    if (it.method !== method) return false;
    const template = partsOf(it);
    return (
      template.length === parts.length &&
      template.every((part, index) => {
        // No parameter is empty but a state key.
        const isGiven = parts[index] !== "" || it.path.includes("stateKey");
        return part.startsWith("{") ? isGiven : part === parts[index];
      })
    );
  });
  // A path that is written out is meant before one with a parameter in that place.
  return found.toSorted((a, b) => parametersOf(a) - parametersOf(b))[0];
}

const partsByOperation = new WeakMap<SpecifiedOperation, readonly string[]>();

/** Every answer of every test is looked up among all operations: their paths are not taken apart each time. */
function partsOf(operation: SpecifiedOperation): readonly string[] {
  const parts = partsByOperation.get(operation) ?? operation.path.split("/");
  partsByOperation.set(operation, parts);
  return parts;
}

function parametersOf({ path }: SpecifiedOperation): number {
  return path.split("{").length;
}

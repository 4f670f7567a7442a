import { z } from "zod";
import { ConfigFile } from "./config.ts";

/** One key that can be set, with what the schema says of it. */
export type ConfigKey = {
  /** From the root, as in the file: `["database", "maxConnections"]`. */
  readonly path: readonly string[];
  /** The environment variable that overrides it: `ARCHIPEL_DATABASE_MAX_CONNECTIONS`. */
  readonly variable: string;
  readonly description: string;
  /** Its values in words: `integer, 2 or more`, `one of closed, token, open`. */
  readonly values: string;
  /** Undefined for the few that have none. */
  readonly default: unknown;
  /** Whether text from the environment is the value as it stands, rather than YAML. */
  readonly isText: boolean;
  readonly isNullable: boolean;
};

/** A part of the tree that has keys below it. */
export type ConfigSection = { readonly path: readonly string[]; readonly description?: string };

const Node = z.looseObject({
  type: z.union([z.string().transform((type) => [type]), z.array(z.string())]).default([]),
  description: z.string().optional(),
  default: z.unknown().optional(),
  enum: z.array(z.string()).optional(),
  minimum: z.number().optional(),
  exclusiveMinimum: z.number().optional(),
  maximum: z.number().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  anyOf: z.array(z.unknown()).optional(),
});
type Node = z.infer<typeof Node>;

const { keys, sections } = walk();

/** Every key of the configuration, in the schema's order. */
export const CONFIG_KEYS: readonly ConfigKey[] = keys;

/** Every section of it that needs words of its own. */
export const CONFIG_SECTIONS: readonly ConfigSection[] = sections;

/** The name of a key's environment variable: `dataDir` is `ARCHIPEL_DATA_DIR`. */
export function variableOf(path: readonly string[]): string {
  const words = path.map((part) => part.replace(/(?<=[a-z0-9])(?=[A-Z][a-z])/g, "_").toUpperCase());
  return `ARCHIPEL_${words.join("_")}`;
}

function walk() {
  const found: { keys: ConfigKey[]; sections: ConfigSection[] } = { keys: [], sections: [] };
  const visit = (raw: unknown, path: readonly string[]): void => {
    const node = Node.parse(raw);
    const variants = (node.anyOf ?? []).map((variant) => Node.parse(variant));
    const value = variants.find(({ type }) => !type.includes("null")) ?? node;
    if (value.properties === undefined) {
      found.keys.push(keyOf(node, value, path));
      return;
    }
    if (path.length === 1) {
      const { description } = node;
      found.sections.push({ path, ...(description !== undefined && { description }) });
    }
    for (const [name, below] of Object.entries(value.properties)) visit(below, [...path, name]);
  };
  visit(z.toJSONSchema(ConfigFile, { io: "input" }), []);
  return found;
}

function keyOf(node: Node, value: Node, path: readonly string[]): ConfigKey {
  const isNullable = [node, ...(node.anyOf ?? [])].some((variant) =>
    Node.parse(variant).type.includes("null"),
  );
  return {
    path,
    variable: variableOf(path),
    description: node.description ?? value.description ?? "",
    values: inWords(value) + (isNullable ? ", or null" : ""),
    default: node.default,
    isText: value.type.includes("string"),
    isNullable,
  };
}

function inWords(value: Node): string {
  if (value.enum !== undefined) return `one of ${value.enum.join(", ")}`;
  if (value.type.includes("array")) return "list";
  if (value.type.includes("string")) return "text";
  if (value.type.includes("boolean")) return "true or false";
  const kind = value.type.includes("integer") ? "whole number" : "number";
  if (value.exclusiveMinimum !== undefined) return `${kind} above ${value.exclusiveMinimum}`;
  if (value.minimum === undefined) return kind;
  const bounded = value.maximum !== undefined && value.maximum < Number.MAX_SAFE_INTEGER;
  return bounded
    ? `${kind} from ${value.minimum} to ${value.maximum}`
    : `${kind}, ${value.minimum} or more`;
}

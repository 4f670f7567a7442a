import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/**
 * The directory `data` of the specification's sources (github.com/matrix-org/matrix-spec), which are not part of this
 * repository: `SPEC_DATA`, or a checkout beside ours. Undefined if there is none.
 */
export function specificationData(): string | undefined {
  const directory = process.env["SPEC_DATA"] ?? join(ROOT, "../shared/spec/data");
  return existsSync(join(directory, "api/client-server")) ? directory : undefined;
}

const documents = new Map<string, unknown>();

/** A file of the specification, YAML or JSON, as it is. */
export function documentAt(path: string): unknown {
  const known = documents.get(path);
  if (known !== undefined) return known;
  const text = readFileSync(path, "utf8");
  const document: unknown = path.endsWith(".json") ? JSON.parse(text) : parse(text);
  documents.set(path, document);
  return document;
}

/**
 * A part of a file with all its `$ref`s replaced by what they lead to. Keys beside a `$ref` win over those of its
 * target, as the specification has it. What leads back to itself is left open there.
 *
 * @param path the file that the part is of, from which its references go out.
 */
export function resolved(node: unknown, path: string, within: readonly string[] = []): unknown {
  if (Array.isArray(node)) return node.map((it) => resolved(it, path, within));
  if (!isRecord(node)) return node;
  const { $ref: reference, ...beside } = node;
  if (typeof reference !== "string") return resolvedValues(node, path, within);

  const [file = "", pointer = ""] = reference.split("#");
  const target = file === "" ? path : resolve(dirname(path), file);
  const place = `${target}#${pointer}`;
  if (within.includes(place)) return {};
  const base = resolved(partAt(documentAt(target), pointer), target, [...within, place]);
  return isRecord(base) ? { ...base, ...resolvedValues(beside, path, within) } : base;
}

function resolvedValues(
  node: Readonly<Record<string, unknown>>,
  path: string,
  within: readonly string[],
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => [key, resolved(value, path, within)]),
  );
}

function partAt(document: unknown, pointer: string): unknown {
  return pointer
    .split("/")
    .filter(Boolean)
    .map((it) => decodeURIComponent(it).replaceAll("~1", "/").replaceAll("~0", "~"))
    .reduce((node: unknown, key) => {
      if (!isRecord(node) || !(key in node)) throw new RangeError(`Nothing is at #${pointer}`);
      return node[key];
    }, document);
}

/** Whether something is an object with keys. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

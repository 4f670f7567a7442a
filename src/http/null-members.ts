import type { z } from "zod";

type Schema = z.core.$ZodType;
type Issue = z.core.$ZodIssue;

/**
 * Leaves members out of a body that a schema has refused, where they are null and need not be there: several clients write
 * so what they leave out, `"session": null` before all. Null that stands for a required member stays, as what is in arrays
 * and maps does.
 *
 * @param body what was refused; changed.
 * @returns whether anything has been left out.
 */
export function leaveOutNulls(body: unknown, schema: Schema, issues: readonly Issue[]): boolean {
  let hasLeftOut = false;
  for (const path of pathsOf(issues)) {
    const key = path.at(-1);
    const parent = path.slice(0, -1).reduce(memberOf, body);
    if (key === undefined || memberOf(parent, key) !== null) continue;
    if (!isOptional(schema, path)) continue;
    Reflect.deleteProperty(parent as object, key);
    hasLeftOut = true;
  }
  return hasLeftOut;
}

type Path = readonly PropertyKey[];

/** Where faults are, also those that each way of a union found. */
function pathsOf(issues: readonly Issue[], under: Path = []): Path[] {
  return issues.flatMap((issue) => {
    const path = [...under, ...issue.path];
    const inner = issue.code === "invalid_union" ? issue.errors : [];
    return [path, ...inner.flatMap((it) => pathsOf(it, path))];
  });
}

function memberOf(value: unknown, key: PropertyKey): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Record<PropertyKey, unknown>)[key];
}

/** Whether what is at a path is a named member of an object that may be without it. */
function isOptional(schema: Schema, path: Path): boolean {
  let at = [schema];
  for (const key of path) at = at.flatMap((it) => below(it, key));
  return at.some((it) => it._zod.optin !== undefined);
}

/** What a schema says of a member; of one in a map or an array only what is further below. */
function below(schema: Schema, key: PropertyKey): Schema[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (def.type === "object") {
    const isNamed = Object.hasOwn(def.shape, key);
    return [isNamed ? def.shape[String(key)] : def.catchall].filter((it) => !!it);
  }
  if (def.type === "record") return [def.valueType];
  if (def.type === "array") return [def.element];
  return within(def).flatMap((it) => below(it, key));
}

/** The schemas that another is made of, for the same value. */
function within(def: z.core.$ZodTypes["_zod"]["def"]): readonly Schema[] {
  if (def.type === "union") return def.options;
  if (def.type === "pipe") return [def.in];
  return "innerType" in def ? [def.innerType] : [];
}

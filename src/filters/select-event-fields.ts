import { splitPropertyPath } from "#src/kit/property-path.ts";

/** The wanted properties, by name: all of one, or some of what is in it. */
type Wanted = Map<string, Wanted | "all">;

/**
 * Makes, from a filter's `event_fields`, what leaves only those fields of an event.
 *
 * @spec client-server-api#filtering
 */
export function eventFieldSelector(
  fields: readonly string[] | undefined,
): (event: object) => object {
  if (!fields) return (event) => event;
  const wanted: Wanted = new Map();
  for (const field of fields) want(wanted, splitPropertyPath(field));
  return (event) => select(event, wanted);
}

/** Step by step: a path may be as long as a filter. */
function want(wanted: Wanted, path: readonly string[]): void {
  const last = path.length - 1;
  let at = wanted;
  for (const [index, name] of path.entries()) {
    const known = at.get(name);
    if (known === "all") return;
    if (index === last) {
      at.set(name, "all");
      return;
    }
    const inner: Wanted = known ?? new Map();
    at.set(name, inner);
    at = inner;
  }
}

function select(value: object, wanted: Wanted): object {
  const entries = Object.entries(value).flatMap(([name, its]): [string, unknown][] => {
    const inner = wanted.get(name);
    if (inner === undefined) return [];
    if (inner === "all") return [[name, its]];
    const isObject = typeof its === "object" && its !== null && !Array.isArray(its);
    return isObject ? [[name, select(its, inner)]] : [];
  });
  return Object.fromEntries(entries);
}

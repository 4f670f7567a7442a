/**
 * The property names of a dot-separated path. A backslash before a dot or a backslash makes it part of
 * a name; before anything else it is a backslash.
 *
 * @spec appendices#dot-separated-property-paths
 */
export function splitPropertyPath(path: string): string[] {
  const names: string[] = [];
  let name = "";
  for (let at = 0; at < path.length; at++) {
    const character = path.charAt(at);
    const next = path.charAt(at + 1);
    if (character === "\\" && (next === "." || next === "\\")) {
      name += next;
      at++;
    } else if (character === ".") {
      names.push(name);
      name = "";
    } else name += character;
  }
  return [...names, name];
}

/** What stands at a path in a value; undefined if nothing does. Inherited properties are nothing. */
export function propertyAt(value: unknown, path: readonly string[]): unknown {
  let found = value;
  for (const name of path) {
    if (typeof found !== "object" || found === null || Array.isArray(found)) return undefined;
    if (!Object.hasOwn(found, name)) return undefined;
    found = (found as Record<string, unknown>)[name];
  }
  return found;
}

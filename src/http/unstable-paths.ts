/**
 * A path, and where clients ask that were written before it was in the specification, as Element Classic and what is made
 * of it still do: Synapse serves all of its paths there.
 */
export function withUnstable(path: string): string[] {
  return [path, path.replace("/v3/", "/unstable/")];
}

/** A path with its parameters encoded, as a tag: path`/_matrix/federation/v1/event/${eventId}`. */
export function path(parts: TemplateStringsArray, ...parameters: readonly string[]): string {
  return String.raw({ raw: parts }, ...parameters.map(encodeURIComponent));
}

/** A path with a query. What is undefined is left out, and each item of a list is there by itself. */
export function withQuery(
  uri: string,
  query: Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>,
): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    (value === undefined ? [] : [value].flat()).map(
      (it) => `${encodeURIComponent(name)}=${encodeURIComponent(it)}`,
    ),
  );
  return pairs.length === 0 ? uri : `${uri}?${pairs.join("&")}`;
}

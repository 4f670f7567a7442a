/**
 * The arrays that queries send and get. The driver could learn of them from each connection's catalogue,
 * at the price of some milliseconds for each.
 */
export const ARRAY_TYPES = {
  booleans: arrayOf(1000, (text) =>
    parseItems(text).map((it) => (it === null ? null : it === "t")),
  ),
  smallints: arrayOf(1005, parseNumbers),
  integers: arrayOf(1007, parseNumbers),
  texts: arrayOf(1009, parseItems),
  bigints: arrayOf(1016, parseNumbers),
};

type Item = string | number | boolean | null | undefined;

function arrayOf(oid: number, parse: (text: string) => unknown) {
  return {
    to: oid,
    from: [oid],
    serialize: (items: readonly Item[]) => `{${items.map(literal).join(",")}}`,
    parse,
  };
}

/** Of numbers the text form is JSON but for its braces and `NULL`. */
function parseNumbers(text: string): unknown {
  return JSON.parse(`[${text.slice(1, -1).replaceAll("NULL", "null")}]`);
}

function literal(item: Item): string {
  if (item === null || item === undefined) return "null";
  if (typeof item !== "string") return String(item);
  return `"${item.replace(SPECIAL, "\\$&")}"`;
}

/** What has to be escaped within the quotes of an item. */
const SPECIAL = /["\\]/g;

/** An item in quotes, or without. */
const ITEM = /"((?:[^"\\]|\\.)*)"|([^{},]+)/gs;

/** The items of PostgreSQL's text form of an array of one dimension. */
function parseItems(text: string): (string | null)[] {
  return [...text.matchAll(ITEM)].map(([, quoted, plain]) =>
    quoted === undefined
      ? plain === "NULL"
        ? null
        : (plain ?? "")
      : quoted.replace(/\\(.)/gs, "$1"),
  );
}

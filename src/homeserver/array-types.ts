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

const MINUS = 45;
const ZERO = 48;
const NINE = 57;
const CAPITAL_N = 78;

/**
 * The whole numbers of PostgreSQL's text form of an array. Digit by digit: that is four times as quick as to have them read
 * as JSON, and every event that is read has such an array.
 */
function parseNumbers(text: string): (number | null)[] {
  const numbers: (number | null)[] = [];
  let at = 1;
  while (at < text.length - 1) {
    if (text.charCodeAt(at) === CAPITAL_N) {
      numbers.push(null);
      at += "NULL,".length;
      continue;
    }
    const isNegative = text.charCodeAt(at) === MINUS;
    if (isNegative) at++;
    let number = 0;
    for (let code = text.charCodeAt(at); code >= ZERO && code <= NINE; code = text.charCodeAt(at)) {
      // The digit first: whatever is added before goes over what a number holds exactly, if it is a large one.
      number = number * 10 + (code - ZERO);
      at++;
    }
    numbers.push(isNegative ? -number : number);
    at++;
  }
  return numbers;
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

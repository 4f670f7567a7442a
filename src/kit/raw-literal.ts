/**
 * A number whose literal JavaScript would not give back, such as `1.0` or 2⁶⁴, as `JSON.rawJSON` has
 * it: `JSON.stringify` writes it out as it is. Rooms of versions 1 to 5 hold such numbers, and the
 * hashes of their events depend on the digits.
 */
export type RawLiteral = { readonly rawJSON: string };

// ES2025 has both; the compiler's library does not know them yet.
const json = JSON as unknown as {
  isRawJSON(value: unknown): boolean;
  rawJSON(text: string): RawLiteral;
};

export function isRawLiteral(value: unknown): value is RawLiteral {
  return json.isRawJSON(value);
}

/** @throws SyntaxError if the text is no primitive of JSON. */
export function rawLiteral(text: string): RawLiteral {
  return json.rawJSON(text);
}

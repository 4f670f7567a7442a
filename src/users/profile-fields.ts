import { MatrixError } from "#src/kit/matrix-error.ts";

const MOST_KEY_BYTES = 255;
const MOST_NAME_CHARACTERS = 256;
const MOST_URL_CHARACTERS = 1000;

/** A key of the specification's own, or one with a namespace. @spec appendices#common-namespaced-identifier-grammar */
const KEY = /^(?:displayname|avatar_url|[a-z][a-z0-9_-]*(?:\.[a-z0-9_-]+)+)$/;

/**
 * Checks the name of a profile's field.
 *
 * @throws MatrixError M_KEY_TOO_LARGE if it is over 255 bytes, M_INVALID_PARAM if it is no such name.
 * @spec client-server-api#put_matrixclientv3profileuseridkeyname
 */
export function requireFieldName(key: string): void {
  if (Buffer.byteLength(key) > MOST_KEY_BYTES) {
    throw new MatrixError("M_KEY_TOO_LARGE", `A field's name has at most ${MOST_KEY_BYTES} bytes`);
  }
  if (!KEY.test(key)) throw new MatrixError("M_INVALID_PARAM", "Not a name of a profile's field");
}

/**
 * The value that a field is to have. Of the name and the picture, null and the empty text mean that
 * there is to be none: so clients took them away before there was a request for it.
 *
 * @returns undefined to take the field away.
 * @throws MatrixError M_MISSING_PARAM if there is no value, M_INVALID_PARAM if the field cannot have it.
 */
export function fieldValue(key: string, body: Readonly<Record<string, unknown>>): unknown {
  if (!Object.hasOwn(body, key)) {
    throw new MatrixError("M_MISSING_PARAM", "The body lacks the field that the path names");
  }
  const value = body[key];
  if (key === "displayname") return nameOf(value);
  if (key === "avatar_url") return pictureOf(value);
  if (key === "m.tz" && typeof value !== "string") {
    throw new MatrixError("M_INVALID_PARAM", "m.tz is not a text");
  }
  return value;
}

function nameOf(value: unknown): string | undefined {
  if (value === null || value === "") return undefined;
  if (typeof value !== "string" || value.length > MOST_NAME_CHARACTERS) {
    throw new MatrixError(
      "M_INVALID_PARAM",
      `displayname is not a text of at most ${MOST_NAME_CHARACTERS} characters`,
    );
  }
  return value;
}

function pictureOf(value: unknown): string | undefined {
  if (value === null || value === "") return undefined;
  if (
    // Clients have always been let set others than mxc:// here, and still do.
    typeof value !== "string" ||
    value.length > MOST_URL_CHARACTERS
  ) {
    throw new MatrixError("M_INVALID_PARAM", "avatar_url is not a URI, or too long");
  }
  return value;
}

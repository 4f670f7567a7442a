import type { Document } from "yaml";

/**
 * What a document of YAML says.
 *
 * @throws Error as the parser does; but not with the name of an alias that leads nowhere: it may be a secret that begins
 *   with a star.
 */
export function settingsOf(document: Document): unknown {
  try {
    return document.toJS();
  } catch (error) {
    const isKnown = error instanceof ReferenceError && error.message.startsWith("Unresolved alias");
    if (!isKnown) throw error;
    throw new Error("Unresolved alias: what begins with * and is none has to be in quotes", {
      cause: error,
    });
  }
}

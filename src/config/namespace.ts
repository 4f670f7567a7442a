import { RE2JS } from "re2js";
import { lru } from "#src/kit/lru.ts";

/** Identifiers that an application service looks after. */
export type Namespace = {
  /** Whether nobody else may have them. */
  readonly exclusive: boolean;
  readonly includes: (id: string) => boolean;
};

/** Whether a text is a regular expression that can be matched in linear time, so without references and look-around. */
export function isNamespacePattern(regex: string): boolean {
  try {
    RE2JS.compile(regex);
    return true;
  } catch {
    return false;
  }
}

/** How many identifiers' verdicts are kept: matching one takes some microseconds. */
const MOST_KEPT = 20_000;

/**
 * The namespace of a regular expression: the identifiers of which it matches a beginning. So do other servers, and
 * bridges write them for that.
 *
 * Not by JavaScript's own: those take exponential time on what a stranger may choose.
 */
export function namespaceOf({
  exclusive,
  regex,
}: {
  readonly exclusive: boolean;
  readonly regex: string;
}): Namespace {
  const pattern = RE2JS.compile(regex);
  const known = lru<string, boolean>(MOST_KEPT);
  return {
    exclusive,
    includes(id) {
      let is = known.get(id);
      if (is === undefined) {
        is = pattern.matcher(id).lookingAt();
        known.set(id, is);
      }
      return is;
    },
  };
}

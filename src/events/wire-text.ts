import { canonicalJson, laxCanonicalJson } from "#src/kit/canonical-json.ts";
import type { WireEvent } from "./pdu.ts";
import type { RoomVersionRules } from "./room-versions.ts";

/**
 * The text of an event, to store and to serve: Canonical JSON, as strict as its room version. For an
 * event that was changed after `parsePdu` or `buildEvent` gave its text: redacted, or signed again.
 *
 * @throws NotCanonicalError unless the event has passed `parsePdu`.
 * @spec rooms/v6#canonical-json
 */
export function wireText(wire: WireEvent, rules: RoomVersionRules): string {
  return rules.strictCanonicalJson ? canonicalJson(wire) : laxCanonicalJson(wire);
}

import { expect, test } from "vitest";
import { createLogger } from "#src/homeserver/log.ts";
import { OutboundError } from "#src/outbound/outbound-failure.ts";
import { whyNotTaken } from "./why-not-taken.ts";

/** What the log says of a delivery. */
function logged(delivery: Parameters<typeof whyNotTaken>[0]): unknown {
  let line = "";
  const log = createLogger({ level: "info", format: "json" }, { write: (it) => (line += it) });
  log.info(whyNotTaken(delivery), "a server takes nothing");
  return JSON.parse(line);
}

test("says why a server cannot be reached", () => {
  const cause = new OutboundError("untrusted", "self-signed certificate in certificate chain");
  expect(logged({ ok: false, why: "unreachable", cause })).toMatchObject({
    why: "unreachable",
    err: { message: "self-signed certificate in certificate chain" },
  });
});

test("says how a server refuses, and not in its words", () => {
  const refused = {
    ok: false,
    why: "refused",
    status: 403,
    errcode: "M_FORBIDDEN",
    body: { error: "words" },
  } as const;
  const line = logged(refused);
  expect(line).toMatchObject({ why: "refused", status: 403, errcode: "M_FORBIDDEN" });
  expect(JSON.stringify(line)).not.toContain("words");
});

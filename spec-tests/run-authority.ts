import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { testAuthority } from "#src/outbound/testing.ts";
import { testDirectory } from "#src/testing-directory.ts";

/** Set by `global-setup.ts`: a file that says what there is. */
const AUTHORITY = "ARCHIPEL_TEST_AUTHORITY";

const RunAuthority = z.object({
  /** The certificate of the authority. */
  caFile: z.string(),
  /** A certificate of `127.0.0.1` and `localhost`, for whoever listens there. */
  certificate: z.object({ cert: z.string(), key: z.string() }),
});
type RunAuthority = z.infer<typeof RunAuthority>;

/** Founds the authority that the tests of a run share, so that all servers of theirs can trust each other. */
export function foundRunAuthority(): void {
  const authority = testAuthority();
  const known: RunAuthority = {
    caFile: authority.caFile,
    certificate: authority.issue("127.0.0.1", "localhost"),
  };
  const file = join(testDirectory(), "authority.json");
  writeFileSync(file, JSON.stringify(known));
  process.env[AUTHORITY] = file;
}

/** The authority of the run. */
export function runAuthority(): RunAuthority {
  const file = process.env[AUTHORITY];
  if (file === undefined) throw new Error("Tests have an authority: run them with vitest.");
  return RunAuthority.parse(JSON.parse(readFileSync(file, "utf8")));
}

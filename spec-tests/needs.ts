import { appendFileSync, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { expect } from "vitest";
import { installedObjectStore } from "./object-store/install.ts";
import { installedOracle } from "./oracle/install.ts";

/** What some suites need and a machine may not have. */
export type Need = "chromium" | "synapse" | "object store";

/** What tests do more with, and nowhere need: it cannot be installed as the others can. */
export type Want = "specification";

/** How to get it. */
const GETS: Record<Need | Want, string> = {
  chromium: "Chromium (Debian: apt-get install chromium; elsewhere set CHROMIUM to its program)",
  synapse:
    "Python 3.10 or newer with venv (Debian: apt-get install python3-venv), then node spec-tests/oracle/install.ts",
  "object store":
    "Python 3.10 or newer with venv (Debian: apt-get install python3-venv), then node spec-tests/object-store/install.ts",
  specification:
    "the specification's sources (github.com/matrix-org/matrix-spec), and let SPEC_DATA name their directory data: answers are then checked by its schemas",
};

const FINDS: Record<Need, () => string | undefined | Promise<string | undefined>> = {
  chromium: findChromium,
  synapse: installedOracle,
  "object store": installedObjectStore,
};

/** Where suites that are left out are noted for the end of the run. Set by `omissionsReporter`. */
const NOTES = "ARCHIPEL_TEST_OMISSIONS";

/**
 * Whether something is missing: `describe.skipIf(await lacks("chromium"))`. A suite left out so is named at
 * the end of the run, with what would get it.
 *
 * @throws Error with `CI` set, where nothing may be left out.
 */
export async function lacks(need: Need): Promise<boolean> {
  const there = await FINDS[need]();
  if (there !== undefined) return false;
  if (process.env["CI"]) throw new Error(`Nothing may be left out in CI. Get ${GETS[need]}.`);
  noteOmission(need);
  return true;
}

const noted = new Set<string>();

/** Notes for the end of the run that a suite had to do without something. */
export function noteOmission(what: Need | Want): void {
  const notes = process.env[NOTES];
  const suite = expect.getState().testPath ?? "a suite";
  const note = JSON.stringify({ suite, gets: GETS[what], part: what === "specification" });
  if (notes === undefined || noted.has(note)) return;
  noted.add(note);
  appendFileSync(notes, `${note}\n`);
}

/** The program of a Chromium or Chrome that can run headless: `CHROMIUM`, or the first one on the path. */
export function findChromium(): string | undefined {
  const given = process.env["CHROMIUM"];
  if (given) return given;
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
  return (process.env["PATH"] ?? "")
    .split(delimiter)
    .flatMap((directory) => names.map((name) => join(directory, name)))
    .find((program) => existsSync(program));
}

/**
 * Installs the oracle's Synapse in a virtual environment of its own, once.
 *
 * `node spec-tests/oracle/install.ts`
 */
import { join } from "node:path";
import {
  cachedVenv,
  installedPackages,
  installPackages,
  type PythonPackages,
} from "../python-packages.ts";

const SYNAPSE: PythonPackages = {
  title: "Synapse",
  venv: process.env["SYNAPSE_VENV"] ?? cachedVenv("synapse-venv"),
  requirements: join(import.meta.dirname, "requirements.txt"),
  modules: "synapse.event_auth, synapse.state.v2",
};

/** The Python that can import Synapse; undefined if `installOracle` has not been run. */
export async function installedOracle(): Promise<string | undefined> {
  return await installedPackages(SYNAPSE);
}

/**
 * Installs Synapse unless it is there.
 *
 * @returns the path of the Python that can import it.
 * @throws PackagesMissingError
 */
export async function installOracle(): Promise<string> {
  return await installPackages(SYNAPSE);
}

if (import.meta.main) process.stdout.write(`${await installOracle()}\n`);

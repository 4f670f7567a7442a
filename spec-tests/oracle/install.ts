/**
 * Installs the oracle's Synapse in a virtual environment of its own, once.
 *
 * `node spec-tests/oracle/install.ts`
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const REQUIREMENTS = join(import.meta.dirname, "requirements.txt");

/** Written when all is installed; holds the digest of the requirements that were. */
const MARK = "archipel-requirements.sha256";

/** Synapse is not there, and why. `message` says what gets it. */
export class OracleMissingError extends Error {
  override readonly name = "OracleMissingError";
}

/** Where the virtual environment is: `SYNAPSE_VENV`, or `.cache/synapse-venv` of the repository. */
function oracleVenv(): string {
  return (
    process.env["SYNAPSE_VENV"] ?? join(import.meta.dirname, "..", "..", ".cache", "synapse-venv")
  );
}

/**
 * The Python that can import Synapse.
 *
 * @returns its path, or undefined if `installOracle` has not been run for these requirements.
 */
export async function installedOracle(): Promise<string | undefined> {
  const venv = oracleVenv();
  const [mark, wanted] = await Promise.all([
    readFile(join(venv, MARK), "utf8").catch(() => undefined),
    digestOfRequirements(),
  ]);
  return mark === wanted ? join(venv, "bin", "python") : undefined;
}

/**
 * Installs Synapse unless it is there. Takes half a minute, and the network.
 *
 * @returns the path of the Python that can import it.
 * @throws OracleMissingError without Python 3.10 or newer, its `venv`, or a package index.
 */
export async function installOracle(): Promise<string> {
  const there = await installedOracle();
  if (there) return there;

  const venv = oracleVenv();
  const python = join(venv, "bin", "python");
  await attempt("python3", ["-c", "import sys, venv; assert sys.version_info >= (3, 10)"], {
    otherwise: "The oracle needs Python 3.10 or newer with its venv module (Debian: python3-venv).",
  });
  await attempt("python3", ["-m", "venv", venv], {
    otherwise: "Python could not make a virtual environment (Debian: apt install python3-venv).",
  });
  const wheels = ["--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
  await attempt(python, ["-m", "pip", "install", ...wheels, "-r", REQUIREMENTS], {
    otherwise: "Synapse could not be installed from the package index.",
  });
  await attempt(python, ["-c", "import synapse.event_auth, synapse.state.v2"], {
    otherwise: "Synapse is installed but cannot be imported.",
  });
  await writeFile(join(venv, MARK), await digestOfRequirements());
  return python;
}

async function attempt(
  command: string,
  args: readonly string[],
  { otherwise }: { otherwise: string },
): Promise<void> {
  try {
    await run(command, args);
  } catch (cause) {
    throw new OracleMissingError(otherwise, { cause });
  }
}

async function digestOfRequirements(): Promise<string> {
  return createHash("sha256")
    .update(await readFile(REQUIREMENTS))
    .digest("hex");
}

if (import.meta.main) process.stdout.write(`${await installOracle()}\n`);

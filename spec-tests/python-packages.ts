import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Python packages that tests are held against, in a virtual environment of their own. */
export type PythonPackages = {
  /** What they are, at the beginning of a sentence. */
  readonly title: string;
  readonly venv: string;
  /** The path of a file that names every one of them with its version. */
  readonly requirements: string;
  /** What must be possible to import then. */
  readonly modules: string;
};

/** Python packages are not there, and why. `message` says what gets them. */
export class PackagesMissingError extends Error {
  override readonly name = "PackagesMissingError";
}

/** Written when all is installed; holds the digest of the requirements that were. */
const MARK = "archipel-requirements.sha256";

/** Where the virtual environment of a name is, unless a variable says otherwise. */
export function cachedVenv(name: string): string {
  return join(import.meta.dirname, "..", ".cache", name);
}

/**
 * The Python that can import them.
 *
 * @returns its path, or undefined if `installPackages` has not been run for these requirements.
 */
export async function installedPackages({
  venv,
  requirements,
}: PythonPackages): Promise<string | undefined> {
  const [mark, wanted] = await Promise.all([
    readFile(join(venv, MARK), "utf8").catch(() => undefined),
    digestOf(requirements),
  ]);
  return mark === wanted ? join(venv, "bin", "python") : undefined;
}

/**
 * Installs them unless they are there. Takes half a minute, and the network.
 *
 * @returns the path of the Python that can import them.
 * @throws PackagesMissingError without Python 3.10 or newer, its `venv`, or a package index.
 */
export async function installPackages(packages: PythonPackages): Promise<string> {
  const there = await installedPackages(packages);
  if (there) return there;

  const { title, venv, requirements, modules } = packages;
  const python = join(venv, "bin", "python");
  await attempt("python3", ["-c", "import sys, venv; assert sys.version_info >= (3, 10)"], {
    otherwise: `${title} needs Python 3.10 or newer with its venv module (Debian: python3-venv).`,
  });
  await attempt("python3", ["-m", "venv", venv], {
    otherwise: "Python could not make a virtual environment (Debian: apt install python3-venv).",
  });
  const wheels = ["--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
  await attempt(python, ["-m", "pip", "install", ...wheels, "-r", requirements], {
    otherwise: `${title} could not be installed from the package index.`,
  });
  await attempt(python, ["-c", `import ${modules}`], {
    otherwise: `${title} is installed but cannot be imported.`,
  });
  await writeFile(join(venv, MARK), await digestOf(requirements));
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
    throw new PackagesMissingError(otherwise, { cause });
  }
}

async function digestOf(file: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(file))
    .digest("hex");
}

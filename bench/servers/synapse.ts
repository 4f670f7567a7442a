import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { installOracle } from "../../spec-tests/oracle/install.ts";
import type { Command, Place } from "./server-under-test.ts";
import { SYNAPSE_LOG, synapseConfig, synapseFiles } from "./synapse-config.ts";

const run = promisify(execFile);

/** Synapse's driver for PostgreSQL, which the oracle of the tests does without. */
const DRIVER = "psycopg2-binary==2.9.13";

/**
 * Installs the Synapse that the tests use as their oracle, and its PostgreSQL driver, unless they are there.
 *
 * @returns the Python that has them
 */
async function installSynapse(): Promise<string> {
  const python = await installOracle();
  const quiet = ["--quiet", "--disable-pip-version-check"];
  if (!(await imports(python, "psycopg2"))) {
    await run(python, ["-m", "pip", "install", ...quiet, "--only-binary", ":all:", DRIVER]);
  }
  return python;
}

/** The command for a Synapse in its directory; it writes what Synapse reads at its start. */
export async function synapseCommand(place: Place): Promise<Command> {
  const python = await installSynapse();
  const files = synapseFiles(place.dir);
  if (!existsSync(files.signingKey)) {
    const seed = randomBytes(32).toString("base64").replaceAll("=", "");
    writeFileSync(files.signingKey, `ed25519 a_bench ${seed}\n`, { mode: 0o600 });
  }
  // JSON is YAML.
  writeFileSync(files.config, JSON.stringify(synapseConfig(place)));
  writeFileSync(files.logConfig, JSON.stringify(SYNAPSE_LOG));
  return {
    program: python,
    args: ["-m", "synapse.app.homeserver", "-c", files.config],
    env: { PATH: `${dirname(python)}:${process.env["PATH"] ?? ""}` },
  };
}

async function imports(python: string, module: string): Promise<boolean> {
  return await run(python, ["-c", `import ${module}`], { cwd: join(python, "..") }).then(
    () => true,
    () => false,
  );
}

/**
 * Installs a server of the S3 API for tests in a virtual environment of its own, once.
 *
 * `node spec-tests/object-store/install.ts`
 */
import { join } from "node:path";
import {
  cachedVenv,
  installedPackages,
  installPackages,
  type PythonPackages,
} from "../python-packages.ts";

const MOTO: PythonPackages = {
  title: "Moto",
  venv: process.env["MOTO_VENV"] ?? cachedVenv("moto-venv"),
  requirements: join(import.meta.dirname, "requirements.txt"),
  modules: "moto.server, moto.s3",
};

/** The Python that can run it; undefined if `installObjectStore` has not been run. */
export async function installedObjectStore(): Promise<string | undefined> {
  return await installedPackages(MOTO);
}

/**
 * Installs it unless it is there.
 *
 * @returns the path of the Python that can run it.
 * @throws PackagesMissingError
 */
export async function installObjectStore(): Promise<string> {
  return await installPackages(MOTO);
}

if (import.meta.main) process.stdout.write(`${await installObjectStore()}\n`);

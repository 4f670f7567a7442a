import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseDocument } from "yaml";
import { type Appservice, AppserviceFile, appserviceOf } from "./appservice.ts";
import { settingsOf } from "./settings-of.ts";

/** What the configuration says of where registration files are. */
export type RegistrationPlaces = {
  readonly files: readonly string[];
  readonly directory: string | null;
};

/**
 * Reads the registration files of application services.
 *
 * @param faults gets one line for each fault, each beginning with the file it is in
 */
export function loadAppservices(places: RegistrationPlaces, faults: string[]): Appservice[] {
  const found: Appservice[] = [];
  for (const file of filesOf(places, faults)) {
    const read = readRegistration(file, faults);
    if (!read) continue;
    for (const other of found) {
      const shared = UNIQUE.filter(([, key]) => other[key] === read[key]);
      for (const [name] of shared) {
        faults.push(`${file}: ${name}: the application service ${other.id} has the same`);
      }
    }
    found.push(read);
  }
  return found;
}

/** What no two may have in common. */
const UNIQUE = [
  ["id", "id"],
  ["as_token", "asToken"],
  ["sender_localpart", "senderLocalpart"],
] as const;

function filesOf({ files, directory }: RegistrationPlaces, faults: string[]): string[] {
  if (directory === null) return [...files];
  try {
    const inside = readdirSync(directory).filter((it) => /\.ya?ml$/.test(it));
    return [...files, ...inside.toSorted().map((it) => join(directory, it))];
  } catch (error) {
    faults.push(`appservices.directory: ${messageOf(error)}`);
    return [...files];
  }
}

function readRegistration(file: string, faults: string[]): Appservice | undefined {
  try {
    const document = parseDocument(readFileSync(file, "utf8"), { prettyErrors: true });
    if (document.errors.length > 0) {
      // Only the first line of each: the rest quotes the file, which holds secrets.
      faults.push(...document.errors.map((it) => `${file}: ${it.message.split("\n")[0]}`));
      return undefined;
    }
    const read = AppserviceFile.safeParse(settingsOf(document));
    if (read.success) return appserviceOf(read.data);
    for (const { path, message } of read.error.issues) {
      faults.push(`${file}: ${path.map(String).join(".") || "the file"}: ${message}`);
    }
  } catch (error) {
    faults.push(`${file}: ${messageOf(error)}`);
  }
  return undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Document, parse, parseDocument } from "yaml";
import type { z } from "zod";
import type { Appservice } from "./appservice.ts";
import { CONFIG_KEYS, type ConfigKey } from "./config-keys.ts";
import { type Config, ConfigFile } from "./config.ts";
import { loadAppservices } from "./load-appservices.ts";
import { settingsOf } from "./settings-of.ts";
import { faultsOfTlsFiles } from "./tls-files.ts";

/** The exit status for a configuration that is not valid: `EX_CONFIG` of sysexits. */
export const EXIT_CONFIG = 78;

/** Everything that is wrong with a configuration. The process should print it and exit with `EXIT_CONFIG`. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** One line for each fault, each beginning with where it is. */
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`The configuration is not valid:\n${faults.map((fault) => `  ${fault}`).join("\n")}`);
    this.faults = faults;
  }
}

/**
 * Variables that begin like ours and are no keys. Kubernetes gives those of its links to every container that
 * runs beside a service named `archipel`.
 */
const OTHER_VARIABLES =
  /^ARCHIPEL_(CONFIG$|TEST_|SERVICE_(HOST|PORT)|PORT$|PORT_\d+_(TCP|UDP|SCTP)(_|$))/;

/**
 * Reads the configuration: defaults, over them the file, over that the environment. No file is needed.
 *
 * @param env `ARCHIPEL_DATABASE_URL` sets `database.url`, and so on for every key; `ARCHIPEL_CONFIG` names the file
 * @param argv the arguments after the program: `--config FILE`. Without either, `config.yaml` in the
 *   working directory is read if it is there. Paths in it are relative to the working directory.
 * @throws ConfigError with all faults at once.
 */
export function loadConfig(env: NodeJS.ProcessEnv, argv: readonly string[]): Config {
  const faults: string[] = [];
  const document = readFile(env, argv, faults);
  dropEmptySections(document);
  applyEnvironment(document, env, faults);
  readSecretFiles(document, faults);
  faults.push(...faultsOfTlsFiles((path) => document.getIn(path)));

  const settings: unknown = document.toJS() ?? {};
  const result = ConfigFile.safeParse(settings);
  const appservices = appservicesOf(settings, faults);
  if (result.success && faults.length === 0) return complete(result.data, appservices);
  faults.push(...(result.error?.issues ?? []).flatMap((issue) => inWords(issue, env)));
  throw new ConfigError([...new Set(faults)]);
}

function readFile(env: NodeJS.ProcessEnv, argv: readonly string[], faults: string[]): Document {
  const none = parseDocument("");
  const named = namedFile(env, argv, faults);
  if (named === undefined && !existsSync("config.yaml")) return none;
  const file = named ?? "config.yaml";
  try {
    const document = parseDocument(readFileSync(file, "utf8"), { prettyErrors: true });
    // The first line says what and where; the rest quotes the file, which may hold a secret.
    faults.push(...document.errors.map((it) => `${file}: ${firstLineOf(it)}`));
    // Aliases are looked up only now, and may be too many or lead nowhere. None is left after this.
    const settings: unknown = document.errors.length === 0 ? settingsOf(document) : null;
    return settings === null ? none : new Document(settings);
  } catch (error) {
    faults.push(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return none;
}

/** Without the colon that leads to the lines after it. */
function firstLineOf({ message }: Error): string {
  return message.split("\n", 1).join().replace(/:$/, "");
}

/** A section of which nothing is set, such as one whose keys are all commented out. */
function dropEmptySections(document: Document): void {
  for (const { path } of CONFIG_KEYS) {
    for (let depth = 1; depth < path.length; depth++) {
      const section = path.slice(0, depth);
      if (document.getIn(section) === null) document.deleteIn(section);
    }
  }
}

function namedFile(env: NodeJS.ProcessEnv, argv: readonly string[], faults: string[]) {
  try {
    const { values } = parseArgs({ args: [...argv], options: { config: { type: "string" } } });
    return values.config ?? env["ARCHIPEL_CONFIG"];
  } catch (error) {
    faults.push(`command line: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

function applyEnvironment(document: Document, env: NodeJS.ProcessEnv, faults: string[]): void {
  const known = new Map(CONFIG_KEYS.map((key) => [key.variable, key]));
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith("ARCHIPEL_") || OTHER_VARIABLES.test(variable)) continue;
    const key = known.get(variable);
    if (key === undefined) faults.push(`${variable}: there is no such key`);
    else if (text !== undefined && text !== "") setIn(document, key.path, valueOf(key, text));
  }
}

/** A value from the environment: text as it stands, lists as YAML or with commas, all else as YAML. */
function valueOf(key: ConfigKey, text: string): unknown {
  if (key.isText) return key.isNullable && text === "null" ? null : text;
  const value = asYaml(text);
  const isList = key.values.startsWith("list");
  return isList && typeof value === "string" ? value.split(",").map((it) => it.trim()) : value;
}

/** What a text says as YAML; the text itself if it is none, as `*.example.org`. */
function asYaml(text: string): unknown {
  try {
    return parse(text) as unknown;
  } catch {
    return text;
  }
}

function setIn(document: Document, path: readonly string[], value: unknown): void {
  try {
    if (document.contents === null) document.contents = document.createNode({});
    document.setIn(path, value);
  } catch {
    // Something that is no section stands where one should: the schema will say so.
  }
}

/** Puts what `xFile` names into `x`, for each key that has both. */
function readSecretFiles(document: Document, faults: string[]): void {
  const names = new Set(CONFIG_KEYS.map((key) => key.path.join(".")));
  for (const { path } of CONFIG_KEYS) {
    const name = path.join(".");
    const target = name.replace(/File$/, "");
    if (target === name || !names.has(target) || !document.hasIn(path)) continue;
    const file = document.getIn(path);
    if (typeof file !== "string") continue;
    if (document.getIn(target.split(".")) != null) faults.push(`${name}: ${target} is set as well`);
    try {
      setIn(document, target.split("."), readFileSync(file, "utf8").trim());
    } catch (error) {
      faults.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** What the schema says of a fault. */
function inWords(issue: z.core.$ZodIssue, env: NodeJS.ProcessEnv): string[] {
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => `${[...path, key].join(".")}: there is no such key`);
  }
  return [`${nameOf(path, env)}: ${issue.message}`];
}

/** A key's path, and the variable it came from if it did: `log.level (ARCHIPEL_LOG_LEVEL)`. */
function nameOf(path: readonly string[], env: NodeJS.ProcessEnv): string {
  const name = path.join(".") || "the file";
  const key = CONFIG_KEYS.find((one) => path.join(".").startsWith(one.path.join(".")));
  return key !== undefined && env[key.variable] ? `${name} (${key.variable})` : name;
}

/** Also of a configuration that has faults elsewhere: all are said at once. */
function appservicesOf(settings: unknown, faults: string[]): Appservice[] {
  const { data } = ConfigFile.pick({ appservices: true }).loose().safeParse(settings);
  return data ? loadAppservices(data.appservices, faults) : [];
}

function complete(
  file: ReturnType<typeof ConfigFile.parse>,
  appservices: readonly Appservice[],
): Config {
  const guess = file.serverName === "localhost" ? ownUrl(file) : `https://${file.serverName}`;
  return {
    ...file,
    appservices,
    publicBaseUrl: (file.publicBaseUrl ?? guess).replace(/\/+$/, ""),
    media: { ...file.media, directory: file.media.directory ?? join(file.dataDir, "media") },
  };
}

/** Hosts by which a listener is reached from its own machine by the name of that. */
const HERE = new Set(["127.0.0.1", "0.0.0.0", "::"]);

/** Where somebody on this machine reaches the listener. Nothing can be reached at the addresses that stand for all. */
function ownUrl({ listener: { host, port } }: ReturnType<typeof ConfigFile.parse>): string {
  if (HERE.has(host)) return `http://localhost:${port}`;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

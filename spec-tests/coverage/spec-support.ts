import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { CLIENT_ROUTES } from "./mounted-routes.ts";

const FOLDER = join(import.meta.dirname, "../client-server");

/** Asks of every route the same, and so is no test of any one of them. */
const OF_ALL = "every-route.spec.ts";

/** An operation that clients or administrators can call, and where it is tested. */
export type SupportedOperation = {
  readonly operation: string;
  readonly method: string;
  readonly paths: readonly string[];
  /** Files of `spec-tests/client-server/`. */
  readonly testedIn: readonly string[];
};

/** Every operation that is mounted for clients, by name. A test of an operation has its name in quotes. */
export function supportedOperations(): SupportedOperation[] {
  const tests = globSync("*.spec.ts", { cwd: FOLDER })
    .filter((file) => basename(file) !== OF_ALL)
    .toSorted()
    .map((file) => ({ file, text: readFileSync(join(FOLDER, file), "utf8") }));
  const byOperation = Map.groupBy(CLIENT_ROUTES, (it) => it.operation);
  return [...byOperation]
    .map(([operation, routes]) => ({
      operation,
      method: routes[0]?.method ?? "",
      paths: routes.map((it) => it.path.replaceAll(/:(\w+)/g, "{$1}")),
      testedIn: tests.filter(({ text }) => text.includes(`"${operation}"`)).map((it) => it.file),
    }))
    .toSorted((a, b) => (a.operation < b.operation ? -1 : 1));
}

/** The text of `docs/spec-support.md`. */
export function specSupport(): string {
  const rows = supportedOperations().map(({ operation, method, paths, testedIn }) => {
    const routes = paths.map((path) => `\`${method} ${path}\``).join("<br>");
    return `| \`${operation}\` | ${routes} | ${testedIn.join(", ")} |`;
  });
  return [
    "# What of the specification is supported",
    "",
    "<!-- Made by `npm run docs`. -->",
    "",
    "Every operation that clients and administrators can call, by the name that the specification gives it, and the file of",
    "`spec-tests/client-server/` that tests it over HTTP. All of them are held against bad tokens, bodies and paths by",
    `\`${OF_ALL}\`. Paths with \`v3\` are served as \`r0\` too.`,
    "",
    "| Operation | Route | Tested in |",
    "| --- | --- | --- |",
    ...rows,
    "",
  ].join("\n");
}

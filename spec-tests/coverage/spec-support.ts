import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { CLIENT_ROUTES, type MountedRoute, SERVER_ROUTES } from "./mounted-routes.ts";

/** Ask of every route the same, and so are no tests of any one of them. */
const OF_ALL = "every-route";

/** One of the specification's APIs. */
type Api = {
  /** The folder of `spec-tests/` with its tests. */
  readonly name: "client-server" | "server-server";
  readonly title: string;
  readonly callers: string;
  readonly routes: readonly MountedRoute[];
};

const APIS: readonly Api[] = [
  {
    name: "client-server",
    title: "For clients",
    callers: "clients and administrators can call",
    routes: CLIENT_ROUTES,
  },
  {
    name: "server-server",
    title: "For other servers",
    callers: "other servers can call",
    routes: SERVER_ROUTES,
  },
];

/** An operation that somebody can call, and where it is tested. */
export type SupportedOperation = {
  readonly api: Api["name"];
  readonly operation: string;
  /** As in `GET /_matrix/client/versions`. */
  readonly routes: readonly string[];
  /** Files of the API's folder. */
  readonly testedIn: readonly string[];
};

/** Every operation that is mounted, by API and name. A test of an operation has its name in quotes. */
export function supportedOperations(): SupportedOperation[] {
  return APIS.flatMap(({ name: api, routes }) => {
    const filesFor = testsOf(api);
    const byOperation = Map.groupBy(routes, (it) => it.operation);
    return [...byOperation]
      .map(([operation, its]) => ({
        api,
        operation,
        routes: its.map((it) => `${it.method} ${it.path.replaceAll(/:(\w+)/g, "{$1}")}`),
        testedIn: filesFor(operation),
      }))
      .toSorted((a, b) => (a.operation < b.operation ? -1 : 1));
  });
}

/** Finds the files of an API's tests that name an operation. */
export function testsOf(api: Api["name"]): (operation: string) => string[] {
  const folder = join(import.meta.dirname, "..", api);
  const tests = globSync("*.spec.ts", { cwd: folder })
    .filter((file) => !basename(file).startsWith(OF_ALL))
    .toSorted()
    .map((file) => ({ file, text: readFileSync(join(folder, file), "utf8") }));
  return (operation) =>
    tests.filter(({ text }) => text.includes(`"${operation}"`)).map((it) => it.file);
}

/** The text of `docs/spec-support.md`. */
export function specSupport(): string {
  const operations = supportedOperations();
  const sections = APIS.flatMap(({ name, title, callers }) => [
    `## ${title}`,
    "",
    `Every operation that ${callers}, and the file of \`spec-tests/${name}/\` that tests it.`,
    "",
    "| Operation | Route | Tested in |",
    "| --- | --- | --- |",
    ...operations.filter((it) => it.api === name).map(rowOf),
    "",
  ]);
  return [
    "# What of the specification is supported",
    "",
    "<!-- Made by `npm run docs`. -->",
    "",
    "Operations have the names that the specification gives them, and are tested over HTTP. All of them are held against bad",
    `tokens or signatures, bodies and paths by the \`${OF_ALL}*.spec.ts\` of their folder. Paths with \`v3\` are served as \`r0\` too.`,
    "",
    ...sections,
  ].join("\n");
}

function rowOf({ operation, routes, testedIn }: SupportedOperation): string {
  const listed = routes.map((it) => `\`${it}\``).join("<br>");
  return `| \`${operation}\` | ${listed} | ${testedIn.join(", ")} |`;
}

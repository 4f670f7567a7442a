import { z } from "zod";
import type { Appservice } from "#src/config/appservice.ts";
import { includes } from "#src/config/registered-appservices.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { parseClientJson } from "#src/kit/wire-json.ts";
import { askAppservice } from "./ask-appservice.ts";
import { networkName } from "./network-name.ts";

/** How long an application service may take: somebody waits. */
const TIMEOUT_MS = 10_000;

const Fields = z.record(z.string(), z.unknown());
const Text = z.string().catch("");
const Texts = z.array(z.string()).catch([]);
/** A network without an ID can neither be named nor be asked for what it lists. */
const Instance = z.looseObject({
  network_id: z.string(),
  desc: Text,
  icon: z.string().optional().catch(undefined),
  fields: Fields.catch({}),
});
/** Bridges leave out what they have no use for. Clients are told all that the specification asks for: else some read nothing. */
const Protocol = z.looseObject({
  user_fields: Texts,
  location_fields: Texts,
  icon: Text,
  field_types: Fields.catch({}),
  instances: listOf(Instance).catch([]),
});
type Protocol = z.infer<typeof Protocol>;

/** A room or a user of another network, as application services find them. */
export const FoundLocation = z.looseObject({
  alias: z.string(),
  protocol: z.string(),
  fields: Fields,
});
export const FoundUser = z.looseObject({
  userid: z.string(),
  protocol: z.string(),
  fields: Fields,
});

const BASE = "/_matrix/app/v1/thirdparty";

/**
 * The networks that application services lead to, by their protocols' names. Those that do not answer are left out.
 *
 * @spec application-service-api#third-party-networks
 */
export async function protocols(hs: Homeserver): Promise<Record<string, Protocol>> {
  const names = [...new Set(hs.config.appservices.flatMap((it) => it.protocols))];
  const found = await Promise.all(
    names.map(async (name) => [name, await protocolNamed(hs, name)] as const),
  );
  return Object.fromEntries(found.flatMap(([name, it]) => (it ? [[name, it]] : [])));
}

/** @throws MatrixError M_NOT_FOUND of a protocol that nobody here speaks. */
export async function requireProtocol(hs: Homeserver, name: string): Promise<Protocol> {
  const found = await protocolNamed(hs, name);
  if (!found) throw new MatrixError("M_NOT_FOUND", "Nobody here speaks this protocol");
  return found;
}

/** What application services that speak a protocol say of it, put together. */
async function protocolNamed(hs: Homeserver, name: string): Promise<Protocol | undefined> {
  const path = `${BASE}/protocol/${encodeURIComponent(name)}`;
  const all = await Promise.all(
    speaking(hs, name).map(async (it) => {
      const said = await answerOf(hs, it, {
        purpose: "getProtocolMetadata",
        path,
        schema: Protocol,
      });
      const instances = said?.instances.map((one) => ({
        ...one,
        instance_id: networkName(it.id, one.network_id),
      }));
      return said && { ...said, instances: instances ?? [] };
    }),
  );
  const [first, ...others] = all.filter((it) => it !== undefined);
  return first && { ...first, instances: [first, ...others].flatMap((it) => it.instances) };
}

function speaking(hs: Homeserver, protocol: string): readonly Appservice[] {
  return hs.config.appservices.filter((it) => it.protocols.includes(protocol));
}

/** What is looked for, and what it is called in the application service's paths. */
export type Search<T> = {
  readonly kind: "location" | "user";
  readonly purpose: string;
  readonly schema: z.ZodType<T>;
};

/**
 * What application services that speak a protocol find by its fields.
 *
 * @throws MatrixError M_NOT_FOUND of a protocol that nobody here speaks.
 */
export async function findByFields<T>(
  hs: Homeserver,
  search: Search<T>,
  { protocol, fields }: { readonly protocol: string; readonly fields: URLSearchParams },
): Promise<T[]> {
  const asked = speaking(hs, protocol);
  if (asked.length === 0) {
    throw new MatrixError("M_NOT_FOUND", "Nobody here speaks this protocol");
  }
  const path = `${BASE}/${search.kind}/${encodeURIComponent(protocol)}?${fields.toString()}`;
  return await findAmong(hs, asked, { ...search, path });
}

/** What an alias or a user ID stands for elsewhere, as the application services say that look after it. */
export async function findByMatrixId<T>(
  hs: Homeserver,
  search: Search<T>,
  id: string,
): Promise<T[]> {
  const [spaces, parameter] =
    search.kind === "location" ? (["aliases", "alias"] as const) : (["users", "userid"] as const);
  const asked = hs.config.appservices.filter((it) => includes(it[spaces], id));
  const path = `${BASE}/${search.kind}?${new URLSearchParams({ [parameter]: id }).toString()}`;
  return await findAmong(hs, asked, { ...search, path });
}

async function findAmong<T>(
  hs: Homeserver,
  asked: readonly Appservice[],
  { purpose, path, schema }: Search<T> & { readonly path: string },
): Promise<T[]> {
  const found = await Promise.all(
    asked.map(async (it) => await answerOf(hs, it, { purpose, path, schema: listOf(schema) })),
  );
  return found.flatMap((it) => it ?? []);
}

/** A list of what a schema can read; what it cannot is left out. */
function listOf<T>(schema: z.ZodType<T>) {
  return z.array(z.unknown()).transform((its) =>
    its.flatMap((it) => {
      const { success, data } = schema.safeParse(it);
      return success ? [data] : [];
    }),
  );
}

/** What one says; undefined, and a line in the log, if it says nothing that can be read. */
async function answerOf<T>(
  hs: Homeserver,
  appservice: Appservice,
  { purpose, path, schema }: { purpose: string; path: string; schema: z.ZodType<T> },
): Promise<T | undefined> {
  try {
    const request = { purpose, method: "GET", path, timeoutMs: TIMEOUT_MS } as const;
    const answer = await askAppservice(hs, appservice, request);
    if (answer?.status !== 200) return undefined;
    return schema.parse(parseClientJson(answer.body.toString("utf8")));
  } catch (error) {
    hs.log.warn({ err: error, appservice: appservice.id, purpose }, "no answer that can be read");
    return undefined;
  }
}

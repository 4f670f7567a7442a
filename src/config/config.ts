import { z } from "zod";
import { isServerName } from "#src/kit/server-name.ts";
import type { Appservice } from "./appservice.ts";
import { federation } from "./federation.ts";
import { listener, metrics, tlsListener } from "./listeners.ts";
import { passwords, registration, sessions } from "./logging-in.ts";
import { media } from "./media.ts";
import { rateLimits } from "./rate-limits.ts";
import { calls, mail, push, serverNotices } from "./telling-users.ts";

const duration = z.int().min(1);

/** The built-in database takes 100 connections, some of which are not the pool's, or are its own. */
const MOST_OF_BUILT_IN = 80;

/** With a user and no host it is none to the web, but is one to PostgreSQL. */
function isDatabaseUrl(text: string): boolean {
  return (
    /^postgres(ql)?:\/\//.test(text) && URL.canParse(text.replace(/@(?=[/?]|$)/, "@localhost"))
  );
}

/**
 * Everything an operator can set. `deploy/config.example.yaml` and `docs/operators/configuration.md` are
 * generated from it (`npm run docs`), so the text in `describe` is the documentation.
 *
 * Units are in the names. A key `xFile` beside a key `x` names a file that holds the value of `x`: so secrets
 * need not stand in the configuration.
 */
export const ConfigFile = z.strictObject({
  serverName: z
    .string()
    .max(230)
    .refine(
      (name): boolean => isServerName(name),
      "Not a server name: a host name or address, and maybe :port",
    )
    .default("localhost")
    .describe("The domain in every user ID. Can never be changed once the server has users."),
  publicBaseUrl: z
    .url({ protocol: /^https?$/, error: "Not a URL like https://matrix.example.org" })
    .refine((url) => !/[?#]/.test(url), "Paths are added to it: it can have no ? or #")
    .nullable()
    .default(null)
    .describe(
      "Where clients reach this server. Null: `https://` and the server's name, or the listener's own address if the name is `localhost`; `http://localhost` and its port if that listens at all addresses.",
    ),
  dataDir: z
    .string()
    .min(1)
    .default("data")
    .describe("Directory for the built-in database and for media. One server process at a time."),

  listener,
  tlsListener,
  metrics,

  database: z
    .strictObject({
      url: z
        .string()
        .refine(isDatabaseUrl, "Not a URL like postgres://user:password@host:5432/name")
        .nullable()
        .default(null)
        .describe(
          "PostgreSQL 15 or newer. `postgres:///name?host=/run/postgresql` is a unix socket; `?sslmode=verify-full` asks for TLS, and `&sslrootcert=FILE` names who vouches for its certificate. Null starts the built-in one in `dataDir`.",
        ),
      urlFile: z.string().nullable().default(null).describe("File that holds the value of `url`."),
      maxConnections: z
        .int()
        .min(2)
        .max(1_000)
        .default(10)
        .describe(
          "Most connections of the pool, for each process: as many are made as are needed at once, and a few more besides.",
        ),
    })
    .refine(({ url, maxConnections }) => url !== null || maxConnections <= MOST_OF_BUILT_IN, {
      path: ["maxConnections"],
      message: `The built-in database takes at most ${MOST_OF_BUILT_IN}`,
    })
    .prefault({}),

  registration,
  passwords,

  sessions,

  support: z
    .strictObject({
      page: z
        .url({ protocol: /^https?$/ })
        .nullable()
        .default(null)
        .describe("Page with help for users."),
      adminEmail: z.email().nullable().default(null).describe("Address of the administrators."),
      adminMatrixId: z
        .string()
        .regex(/^@[^:]+:.+$/, "Not a user ID")
        .nullable()
        .default(null)
        .describe("User ID of an administrator, better on another server."),
      securityEmail: z
        .email()
        .nullable()
        .default(null)
        .describe("Address for reports of weaknesses. What of these is set is published."),
    })
    .prefault({}),

  serverNotices,

  calls,
  rateLimits,

  rooms: z
    .strictObject({
      defaultVersion: z
        .enum(["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"])
        .default("12")
        .describe("Version of rooms whose creator names none."),
    })
    .prefault({}),
  previews: z
    .strictObject({
      enabled: z
        .boolean()
        .default(true)
        .describe(
          "Whether clients may ask what a URL leads to. The server then fetches it, though never from a private address unless `federation.allowedAddressRanges` has it.",
        ),
      deniedHosts: z
        .array(z.string())
        .default([])
        .describe("Hosts whose pages are never fetched. `*` and `?` stand for any characters."),
    })
    .prefault({}),
  thirdPartyInvites: z
    .strictObject({
      identityServers: z
        .array(z.string().toLowerCase().refine(isServerName, "Not a server name"))
        .nullable()
        .default(null)
        .describe(
          "Identity servers that are asked when clients invite by e-mail address or phone number; these may be at private addresses. Null: whichever a client names, at no private address. Empty: none, so that nobody is invited so.",
        ),
    })
    .prefault({}),
  delayedEvents: z
    .strictObject({
      maxDelayMs: duration
        .default(7 * 24 * 60 * 60 * 1000)
        .describe("How far ahead, in milliseconds, a user may have an event sent."),
      maxScheduled: z
        .int()
        .min(0)
        .default(100)
        .describe(
          "How many such events of a user may wait. Calls have one for each device in them.",
        ),
    })
    .prefault({}),
  presence: z
    .strictObject({
      enabled: z
        .boolean()
        .default(true)
        .describe("Whether users see who is online, and those of other servers see it of ours."),
      maxRoomMembers: z
        .int()
        .min(1)
        .default(50)
        .describe(
          "Users see who is online of those with whom they share a room of at most so many members.",
        ),
    })
    .prefault({}),
  mail,
  push,
  media,

  federation,
  appservices: z
    .strictObject({
      files: z
        .array(z.string().min(1))
        .default([])
        .describe("Registration files of application services, one for each."),
      directory: z
        .string()
        .nullable()
        .default(null)
        .describe("Directory whose `*.yaml` files are registration files too."),
    })
    .prefault({})
    .describe("Bridges and other application services."),

  log: z
    .strictObject({
      level: z
        .enum(["fatal", "error", "warn", "info", "debug", "trace"])
        .default("info")
        .describe("The least important lines that are written."),
      format: z
        .enum(["auto", "json", "pretty"])
        .default("auto")
        .describe("`auto` is pretty on a terminal and JSON elsewhere."),
    })
    .prefault({}),
});

/** The configuration as the program uses it: read, checked, and completed. */
export type Config = Omit<z.infer<typeof ConfigFile>, "publicBaseUrl" | "media" | "appservices"> & {
  readonly publicBaseUrl: string;
  /** What the registration files say. */
  readonly appservices: readonly Appservice[];
  readonly media: z.infer<typeof ConfigFile>["media"] & { readonly directory: string };
};

import { z } from "zod";
import { isServerName } from "#src/kit/server-name.ts";
import type { Appservice } from "./appservice.ts";
import { media } from "./media.ts";
import { rateLimits } from "./rate-limits.ts";
import { calls, mail, push, serverNotices } from "./telling-users.ts";

const port = z.int().min(0).max(65_535);
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
    .url({ protocol: /^https?$/ })
    .nullable()
    .default(null)
    .describe(
      "Where clients reach this server. Null: `https://` and the server's name, or the listener's own address if the name is `localhost`.",
    ),
  dataDir: z
    .string()
    .min(1)
    .default("data")
    .describe("Directory for the built-in database and for media. One server process at a time."),

  listener: z
    .strictObject({
      host: z.string().min(1).default("127.0.0.1").describe("Address to listen on."),
      port: port.default(8008).describe("Port for plain HTTP. 0 takes a free one."),
      trustForwardedFor: z
        .boolean()
        .default(false)
        .describe(
          "Whether the last address of `X-Forwarded-For` says who calls. True only behind a proxy that sets or extends it.",
        ),
    })
    .prefault({}),
  tlsListener: z
    .strictObject({
      host: z.string().min(1).default("127.0.0.1").describe("Address to listen on."),
      port: port.default(8448).describe("Port for HTTPS. 0 takes a free one."),
      certFile: z.string().min(1).describe("PEM file with the certificate and its chain."),
      keyFile: z.string().min(1).describe("PEM file with the certificate's private key."),
    })
    .nullable()
    .default(null)
    .describe("A second listener, with TLS, for servers that stand behind no proxy."),
  metrics: z
    .strictObject({
      enabled: z.boolean().default(true).describe("Whether to serve `/metrics` for Prometheus."),
      host: z.string().min(1).default("127.0.0.1").describe("Address to listen on."),
      port: port.default(9008).describe("Port of the metrics listener. 0 takes a free one."),
    })
    .prefault({}),

  database: z
    .strictObject({
      url: z
        .string()
        .refine(isDatabaseUrl, "Not a URL like postgres://user:password@host:5432/name")
        .nullable()
        .default(null)
        .describe(
          "PostgreSQL 15 or newer. `postgres:///name?host=/run/postgresql` is a unix socket. Null starts the built-in one in `dataDir`.",
        ),
      urlFile: z.string().nullable().default(null).describe("File that holds the value of `url`."),
      maxConnections: z
        .int()
        .min(2)
        .max(1_000)
        .default(10)
        .describe("Connections of the pool, for each process; a few more are made besides."),
    })
    .refine(({ url, maxConnections }) => url !== null || maxConnections <= MOST_OF_BUILT_IN, {
      path: ["maxConnections"],
      message: `The built-in database takes at most ${MOST_OF_BUILT_IN}`,
    })
    .prefault({}),

  registration: z
    .strictObject({
      mode: z
        .enum(["closed", "token", "open"])
        .default("closed")
        .describe(
          "Who may make an account: nobody, who has a registration token, or everyone. Scripts that know `sharedSecret` always can.",
        ),
      terms: z
        .array(
          z.strictObject({
            id: z.string().regex(/^[a-z0-9_.-]+$/, "Not a name like terms_of_service"),
            version: z.coerce.string().min(1),
            language: z.string().min(1).default("en"),
            name: z.string().min(1),
            url: z.url({ protocol: /^https?$/ }),
          }),
        )
        .default([])
        .describe(
          "What those who register have to agree to, each with `id`, `version`, `language`, `name` and `url`; one text in several languages has one `id`.",
        ),
      guestsAllowed: z.boolean().default(false).describe("Whether guests may come in."),
      sharedSecret: z
        .string()
        .min(1)
        .nullable()
        .default(null)
        .describe(
          "Secret of scripts that register users over the admin API. Null switches it off.",
        ),
      sharedSecretFile: z
        .string()
        .nullable()
        .default(null)
        .describe("File that holds the value of `sharedSecret`."),
    })
    .prefault({}),
  passwords: z
    .strictObject({
      minLength: z
        .int()
        .min(1)
        .max(128)
        .default(8)
        .describe("Shortest new password, in characters."),
      argon2MemoryKiB: z
        .int()
        .min(8)
        .max(4 * 1024 * 1024)
        .default(19_456)
        .describe("Memory that checking a password takes, in KiB."),
      argon2Iterations: z.int().min(1).max(100).default(2).describe("Passes over that memory."),
    })
    .prefault({}),

  sessions: z
    .strictObject({
      accessTokenLifetimeMs: duration
        .default(5 * 60 * 1000)
        .describe(
          "How long an access token is valid for a client that can refresh it, in milliseconds.",
        ),
      refreshTokenLifetimeMs: duration
        .nullable()
        .default(null)
        .describe("How long a refresh token is valid, in milliseconds. Null: until the log-out."),
      nonRefreshableLifetimeMs: duration
        .nullable()
        .default(null)
        .describe(
          "How long an access token is valid for a client that cannot refresh it, in milliseconds. Null: until the log-out.",
        ),
      authenticationReuseMs: z
        .int()
        .min(0)
        .max(24 * 60 * 60 * 1000)
        .default(0)
        .describe(
          "For how long, in milliseconds, a client whose user has given their password again may delete devices and replace cross-signing keys without asking for it each time. What ends an account or lets others in always asks. 0: each time.",
        ),
      tokensInQuery: z
        .boolean()
        .default(false)
        .describe(
          "Whether access tokens are accepted in the query string, too, as old clients send them. Proxies may write them to their logs there.",
        ),
    })
    .prefault({}),

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

  federation: z
    .strictObject({
      enabled: z.boolean().default(true).describe("Whether to talk with other servers at all."),
      requestTimeoutMs: duration
        .default(60_000)
        .describe("How long to wait for another server's answer, in milliseconds."),
      partners: z
        .array(z.string().min(1))
        .default([])
        .describe(
          "Names of servers that are waited for: one that is down is tried again at least twice a minute.",
        ),
      maxRetryWaitMs: duration
        .default(60 * 60 * 1000)
        .describe(
          "Longest wait before a server that is down, and is no partner, is tried again, in milliseconds. One that is heard of is tried at once.",
        ),
      giveUpAfterMs: duration
        .default(60 * 24 * 60 * 60 * 1000)
        .describe(
          "How long a server, if it is no partner, may be away until what it is owed is let go of, in milliseconds.",
        ),
      allowedAddressRanges: z
        .array(z.union([z.cidrv4(), z.cidrv6()]))
        .default([])
        .describe("Private address ranges (CIDR) that may be connected to all the same."),
      caFile: z
        .string()
        .nullable()
        .default(null)
        .describe("PEM file with authorities to trust besides those the system trusts."),
      hostsFile: z
        .string()
        .nullable()
        .default(null)
        .describe(
          "File like `/etc/hosts` that is asked before DNS, and read again when it changes.",
        ),
      tellDeviceNames: z
        .boolean()
        .default(false)
        .describe("Whether other servers are told what our users call their devices."),
      trustedKeyServers: z
        .array(z.string().min(1))
        .default([])
        .describe("Servers that are asked for the keys of servers that cannot be reached."),
    })
    .prefault({})
    .describe("Other servers, and how they are reached."),
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

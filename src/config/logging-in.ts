import { z } from "zod";

const duration = z.int().min(1);

/** Who may make an account. */
export const registration = z
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
        "What those who register have to agree to, each with `id`, `version`, `language`, `name` and `url`; one text in several languages has one `id`. Cinny knows none but `privacy_policy`: where that is not among them, nobody can register with it.",
      ),
    guestsAllowed: z.boolean().default(false).describe("Whether guests may come in."),
    sharedSecret: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe("Secret of scripts that register users over the admin API. Null switches it off."),
    sharedSecretFile: z
      .string()
      .nullable()
      .default(null)
      .describe("File that holds the value of `sharedSecret`."),
  })
  .prefault({});

export const passwords = z
  .strictObject({
    minLength: z.int().min(1).max(128).default(8).describe("Shortest new password, in characters."),
    argon2MemoryKiB: z
      .int()
      .min(8)
      .max(4 * 1024 * 1024)
      .default(19_456)
      .describe("Memory that checking a password takes, in KiB."),
    argon2Iterations: z.int().min(1).max(100).default(2).describe("Passes over that memory."),
  })
  .prefault({});

/** How long those who have logged in stay so. */
export const sessions = z
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
  .prefault({});

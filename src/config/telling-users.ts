import { z } from "zod";

const duration = z.int().min(1);

/** Whether the user's name and password can be read: whatever stands behind a `%` in them is no mistake. */
function isUserReadable(text: string): boolean {
  const { username, password } = new URL(text);
  try {
    return decodeURIComponent(username + password) !== undefined;
  } catch {
    return false;
  }
}

/** An address, maybe with a name before it. */
const SENDER = /^(?:[^<>\r\n]*<[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$/;

/** E-mails. */
export const mail = z
  .strictObject({
    smtpUrl: z
      .url({ protocol: /^smtps?$/, error: "Not a URL like smtp://mail.example.org:587" })
      .refine(isUserReadable, "A % in the user's name or password has to be written as %25")
      .nullable()
      .default(null)
      .describe(
        "Server that takes e-mails from us, as in `smtp://user:password@mail.example.org:587`. To one that is told a user and password it is spoken with TLS alone, unless `plainSmtp` says otherwise. Null: none are sent.",
      ),
    smtpUrlFile: z
      .string()
      .nullable()
      .default(null)
      .describe("File that holds the value of `smtpUrl`."),
    plainSmtp: z
      .boolean()
      .default(false)
      .describe(
        "Whether the user and password of `smtpUrl` may be sent without TLS, to a server that offers none. Only where nobody listens.",
      ),
    from: z
      .string()
      .regex(SENDER, "Not a sender like noreply@example.org or Example <noreply@example.org>")
      .default("noreply@localhost")
      .describe("Who e-mails are from, as in `Example <noreply@example.org>`."),
  })
  .prefault({})
  .describe("E-mails, by which users can be told of what they have not read.");

/** How users are told of what happens while they are away. */
export const push = z
  .strictObject({
    mailDelayMs: duration
      .default(10 * 60 * 1000)
      .describe(
        "How long something is unread until a user who wants it is told by e-mail, in milliseconds. As long, and longer each time up to a day, there is no other.",
      ),
    webClientUrl: z
      .url({ protocol: /^https?$/ })
      .default("https://matrix.to")
      .describe("Where links in e-mails to rooms lead: a web client, up to its `#`."),
    plainHttp: z
      .boolean()
      .default(false)
      .describe(
        "Whether users may be told over push gateways without TLS. The specification does not let them: only where nobody listens.",
      ),
  })
  .prefault({});

/** What the server itself tells its users. */
export const serverNotices = z
  .strictObject({
    localpart: z
      .string()
      .regex(/^[a-z0-9._=\-/+]+$/, "Not a user name")
      .nullable()
      .default(null)
      .describe(
        "User name in which administrators tell users something, in a room that each has for it. Nobody else gets the name. Null switches it off.",
      ),
    displayName: z.string().min(1).default("Server notices").describe("What that user is called."),
    roomName: z.string().min(1).default("Server notices").describe("What the rooms are called."),
  })
  .prefault({});

/** Where clients call each other. */
export const calls = z
  .strictObject({
    livekitServiceUrl: z
      .url({ protocol: /^https?$/ })
      .nullable()
      .default(null)
      .describe(
        "Where clients ask for a place in a call: the URL of a LiveKit authorisation service. Null: this server offers none.",
      ),
    turnUris: z
      .array(z.string().regex(/^turns?:/, "Not a URI that begins with turn: or turns:"))
      .default([])
      .describe(
        "TURN servers, through which those call each other who cannot reach each other, as `turn:turn.example.com?transport=udp`.",
      ),
    turnSecret: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe(
        "Secret that the TURN servers share (`static-auth-secret` of coturn). Each user gets credentials made with it.",
      ),
    turnSecretFile: z
      .string()
      .nullable()
      .default(null)
      .describe("File that holds the value of `turnSecret`."),
    turnLifetimeMs: duration
      .default(24 * 60 * 60 * 1000)
      .describe("How long such credentials are good, in milliseconds."),
  })
  .refine(({ turnUris, turnSecret }) => turnUris.length === 0 || turnSecret !== null, {
    path: ["turnSecret"],
    message: "TURN servers are of no use without the secret that they share",
  })
  .prefault({});

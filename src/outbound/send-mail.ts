import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { OutboundError } from "./outbound-failure.ts";

/** An e-mail, the same twice: for those who read HTML, and for those who do not. */
export type Mail = {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  /** Where who wants no more such e-mails says so. */
  readonly unsubscribeUrl?: string;
};

const TIMEOUT_MS = 20_000;

/** The operator has named the server, so it may be anywhere, in our own network too. */
const transportOf = held(async (hs) => {
  const { smtpUrl, plainSmtp, from } = hs.config.mail;
  if (smtpUrl === null) return undefined;
  const url = new URL(smtpUrl);
  // It takes memory, and many servers send no e-mails.
  const { createTransport } = await import("nodemailer");
  const isSecure = url.protocol === "smtps:";
  const transport = createTransport(
    {
      pool: true,
      maxConnections: 2,
      host: url.hostname,
      port: url.port === "" ? (isSecure ? 465 : 587) : Number(url.port),
      secure: isSecure,
      ...(url.username !== "" && {
        auth: { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) },
        // Whoever is in between could say that the server has no TLS, and be told the password.
        requireTLS: !plainSmtp,
      }),
      connectionTimeout: TIMEOUT_MS,
      greetingTimeout: TIMEOUT_MS,
      socketTimeout: TIMEOUT_MS,
      disableFileAccess: true,
      disableUrlAccess: true,
    },
    { from },
  );
  hs.stopping.addEventListener("abort", () => transport.close(), { once: true });
  return transport;
});

/** Whether e-mails can be sent. */
export function canSendMail(hs: Homeserver): boolean {
  return hs.config.mail.smtpUrl !== null;
}

/**
 * Sends an e-mail. Returns when the configured server has taken it.
 *
 * @throws OutboundError
 */
export async function sendMail(hs: Homeserver, mail: Mail): Promise<void> {
  const transport = await transportOf(hs);
  if (!transport || hs.stopping.aborted) throw new OutboundError("given-up", "no e-mail is sent");
  const { unsubscribeUrl, ...message } = mail;
  try {
    await transport.sendMail({
      ...message,
      // No answers by those who are away.
      headers: { "Auto-Submitted": "auto-generated" },
      ...(unsubscribeUrl !== undefined && { list: { unsubscribe: unsubscribeUrl } }),
    });
  } catch (cause) {
    throw new OutboundError("broken", "the e-mail server has not taken an e-mail", cause);
  }
}

import { type Endpoint, openEndpoint } from "#src/http/endpoint.ts";
import { readBody } from "#src/http/read-body.ts";
import { PAGE_HEADERS } from "#src/kit/html-page.ts";
import { confirmMails, stopMails } from "../confirm-mails.ts";
import { pusherOfLink } from "../mail-links.ts";
import { mailDone, mailForm, mailOver } from "../mail-page.ts";

const PATH = "/_archipel/mail";

/** More than the form can hold. */
const MOST_BYTES = 4 * 1024;

/** The page on which who gets e-mails says whether they want them: whoever follows links in e-mails presses no buttons. */
export const mailEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "mailPage",
    method: "GET",
    path: PATH,
    auth: "none",
    rate: "register",
    async handle(hs, { query }) {
      const token = query.get("token") ?? "";
      const pusher = await pusherOfLink(hs, token);
      if (!pusher) return html(mailOver(), 404);
      return html(mailForm({ token, userId: pusher.userId, address: pusher.pushkey }));
    },
  }),
  openEndpoint({
    operation: "answerMail",
    method: "POST",
    path: PATH,
    auth: "none",
    rate: "register",
    async handle(hs, { request, incoming }) {
      const form = await readBody(request, incoming, { mostBytes: MOST_BYTES });
      const fields = new URLSearchParams(form.toString());
      const pusher = await pusherOfLink(hs, fields.get("token") ?? "");
      if (!pusher) return html(mailOver(), 404);
      const isWanted = fields.get("wanted") === "yes";
      if (isWanted) await confirmMails(hs, pusher);
      else await stopMails(hs, pusher);
      return html(mailDone(isWanted));
    },
  }),
];

function html(text: string, status = 200): Response {
  return new Response(text, { status, headers: PAGE_HEADERS });
}

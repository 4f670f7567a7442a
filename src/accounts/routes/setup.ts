import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Endpoint, openEndpoint } from "#src/http/endpoint.ts";
import { PAGE_HEADERS } from "#src/kit/html-page.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { createFirstAdministrator, isSetupToken } from "../first-administrator.ts";
import { setupDone, setupForm, setupOver } from "../setup-page.ts";

const PATH = "/_archipel/setup";

/** More than the form can hold. */
const MOST_BYTES = 16 * 1024;

/** The page on which the first administrator makes their account. */
export const setupEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "setupPage",
    method: "GET",
    path: PATH,
    auth: "none",
    rate: "register",
    async handle(hs, { query }) {
      const token = query.get("token") ?? "";
      if (!(await isSetupToken(hs, token))) return html(setupOver(), 403);
      return html(form(hs, token));
    },
  }),
  openEndpoint({
    operation: "createFirstAdministrator",
    method: "POST",
    path: PATH,
    auth: "none",
    rate: "register",
    async handle(hs, { request }) {
      if (Number(request.header("content-length") ?? MOST_BYTES + 1) > MOST_BYTES) {
        throw new MatrixError("M_TOO_LARGE", "The form is too large");
      }
      const fields = new URLSearchParams(await request.text());
      const token = fields.get("token") ?? "";
      const username = fields.get("username") ?? "";
      const password = fields.get("password") ?? "";
      try {
        return html(setupDone(await createFirstAdministrator(hs, { token, username, password })));
      } catch (error) {
        if (!(error instanceof MatrixError)) throw error;
        if (error.errcode === "M_FORBIDDEN") return html(setupOver(), 403);
        return html(form(hs, token, { fault: error.message, username }), error.status);
      }
    },
  }),
];

function form(
  hs: Homeserver,
  token: string,
  last: { readonly fault?: string; readonly username?: string } = {},
): string {
  const minPasswordLength = hs.config.passwords.minLength;
  return setupForm({ server: hs.name, token, minPasswordLength, ...last });
}

function html(text: string, status = 200): Response {
  return new Response(text, { status, headers: PAGE_HEADERS });
}

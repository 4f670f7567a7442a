import { completeStage, isSession } from "#src/auth/complete-stage.ts";
import type { Stage } from "#src/auth/uia-stages.ts";
import { CORS_HEADERS, type Endpoint, openEndpoint } from "#src/http/endpoint.ts";
import { readBody } from "#src/http/read-body.ts";
import { PAGE_HEADERS } from "#src/kit/html-page.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import {
  DONE_HEADERS,
  LOG_IN_HEADERS,
  logInForm,
  stageDone,
  stageForm,
  stageOver,
} from "../fallback-pages.ts";

const STAGE = "/_matrix/client/v3/auth/:stage/fallback/web";

/** More than the form can hold. */
const MOST_BYTES = 16 * 1024;

const STAGES: ReadonlySet<string> = new Set<Stage>([
  "m.login.password",
  "m.login.dummy",
  "m.login.registration_token",
  "m.login.terms",
]);

/** Pages for clients that cannot complete a stage of authentication, or log in, by themselves. */
export const fallbackEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "stagePage",
    method: "GET",
    path: STAGE,
    auth: "none",
    rate: "login",
    async handle(hs, { params, query }) {
      const stage = requireStage(params);
      const session = query.get("session") ?? "";
      if (!(await isSession(hs, session))) return html(stageOver(), 404);
      return html(stageForm(hs, { stage, session }));
    },
  }),
  openEndpoint({
    operation: "completeStage",
    method: "POST",
    path: STAGE,
    auth: "none",
    rate: "login",
    async handle(hs, { params, request, incoming }) {
      const stage = requireStage(params);
      const form = await readBody(request, incoming, { mostBytes: MOST_BYTES });
      const fields = new URLSearchParams(form.toString());
      const session = fields.get("session") ?? "";
      const password = fields.get("password");
      const token = fields.get("token");
      try {
        await completeStage(hs, session, stage, {
          type: stage,
          ...(password !== null && { password }),
          ...(token !== null && { token }),
        });
        return html(stageDone(), 200, DONE_HEADERS);
      } catch (error) {
        if (!(error instanceof MatrixError)) throw error;
        if (error.errcode === "M_NOT_FOUND") return html(stageOver(), 404);
        return html(stageForm(hs, { stage, session, fault: error.message }), error.status);
      }
    },
  }),
  openEndpoint({
    operation: "logInPage",
    method: "GET",
    path: ["/_matrix/static/client/login/", "/_matrix/static/client/login"],
    auth: "none",
    handle: (hs) => html(logInForm(hs), 200, LOG_IN_HEADERS),
  }),
];

/** @throws MatrixError M_UNRECOGNIZED */
function requireStage({ stage = "" }: Readonly<Record<string, string>>): Stage {
  if (STAGES.has(stage)) return stage as Stage;
  throw new MatrixError("M_UNRECOGNIZED", "There is no such stage");
}

function html(
  text: string,
  status = 200,
  headers: Readonly<Record<string, string>> = PAGE_HEADERS,
): Response {
  return new Response(text, { status, headers: { ...CORS_HEADERS, ...headers } });
}

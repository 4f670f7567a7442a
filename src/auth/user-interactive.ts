import { hash, randomBytes } from "node:crypto";
import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { OperationId } from "#src/kit/operation-ids.ts";
import type { AuthData } from "./auth-data.ts";
import {
  askedIn,
  deleteSession,
  findSession,
  finishSession,
  insertSession,
  lockSession,
  type SessionRow,
  updateSession,
} from "./queries-uia.ts";
import { isProvedLately, noteProved } from "./recent-proof.ts";
import { termsParams } from "./terms.ts";
import { type Proof, type Stage, tryStage } from "./uia-stages.ts";

/** The request that needs authentication. A route's `Call` is one. */
export type InteractiveCall = {
  readonly requester?:
    | {
        readonly userKey: number;
        readonly userId: UserId;
        readonly deviceKey?: number;
        readonly appserviceId?: string;
      }
    | undefined;
  readonly params: Readonly<Record<string, string>>;
  readonly body: { readonly auth?: AuthData | undefined };
};

export type InteractiveOptions = {
  readonly operation: OperationId;
  /** The ways to prove it, each a list of stages that all are needed. The password if left out. */
  readonly flows?: readonly (readonly Stage[])[];
  /** Whether it is remembered what comes of it (`made-accounts.ts`). */
  readonly remembered?: boolean;
  /** Puts into words what is asked for, to be kept with a session that begins (`askedInSession`). */
  readonly keep?: () => Promise<string | undefined>;
};

/** What application services do without: they are trusted with their users. */
const FREE_TO_APPSERVICES: ReadonlySet<OperationId> = new Set([
  "deleteDevice",
  "deleteDevices",
  "uploadCrossSigningKeys",
  "deactivateAccount",
]);

/** How long a client may take. */
const LIFETIME_MS = 30 * 60 * 1000;

type Session = {
  readonly sessionId: string;
  readonly completed: ReadonlyMap<string, Proof>;
};

const Completed = z.array(
  z.tuple([
    z.string(),
    z.object({ userKey: z.number().optional(), registrationToken: z.string().optional() }),
  ]),
);

/**
 * Requires that a user proves, in whatever dialogue it takes, that it is they who ask. Returns once all
 * is proved, and ends the session: what is proved is proved for one request.
 *
 * A session is bound to its operation, the path's parameters and the user, and, once a stage has been
 * completed in it, to the request's body: until then a client may still ask for something else, as
 * those do that ask with an empty body at first.
 *
 * Of application services only what they need not do without is asked; and where the operator has it so, of users who
 * have proved it at the same device a short while ago only what matters most.
 *
 * @throws MatrixError 401 with `session`, `flows`, `params` and `completed`, and with an errcode if a
 *   stage failed; M_FORBIDDEN (403) if the session is of another request, or another user's password
 *   was given.
 * @spec client-server-api#user-interactive-api-in-the-rest-api
 */
export async function requireUserInteractive(
  hs: Homeserver,
  call: InteractiveCall,
  options: InteractiveOptions,
): Promise<Proof> {
  const isAppservice = call.requester?.appserviceId !== undefined;
  if (isAppservice && FREE_TO_APPSERVICES.has(options.operation)) return {};
  const deviceKey = call.requester?.deviceKey;
  const isOffered = call.body.auth?.type !== undefined;
  if (!isOffered && (await isProvedLately(hs, deviceKey, options.operation))) return {};
  const proof = await proofOf(hs, call, options);
  if (proof.userKey !== undefined) await noteProved(hs, deviceKey);
  return proof;
}

async function proofOf(
  hs: Homeserver,
  call: InteractiveCall,
  { operation, flows = [["m.login.password"]], remembered, keep }: InteractiveOptions,
): Promise<Proof> {
  const { auth } = call.body;
  const binding = bindingOf(call, operation);
  const row = auth?.session && (await findSession(hs.sql, auth.session, hs.now()));
  // Before a stage is tried: whoever has another session is told nothing of passwords.
  if (row) completedIn(row, binding);
  const outcome = await outcomeOf(hs, call, flows.flat());
  const failure = outcome instanceof MatrixError ? outcome : undefined;
  const step: Step = {
    binding,
    proved: outcome instanceof MatrixError ? [] : outcome,
    isLast: (completed) => !failure && flows.some((flow) => flow.every((it) => completed.has(it))),
    end: remembered === true ? finishSession : deleteSession,
  };
  // What has expired begins anew.
  const session = row ? await goOn(hs, row.sessionId, step) : await begin(hs, step, keep);
  if (step.isLast(session.completed)) {
    return Object.assign({}, ...session.completed.values()) as Proof;
  }
  const fields = wantedOf(hs, session, flows);
  if (!failure) {
    throw new MatrixError("M_UNAUTHORIZED", "More authentication is needed", {
      fields,
      bare: true,
    });
  }
  const { errcode, message, status } = failure;
  throw new MatrixError(errcode, message, { status, fields });
}

/** What comes of the stage that a request offers, if it offers one: the stage with what it proves, or why it does not. */
async function outcomeOf(
  hs: Homeserver,
  { body: { auth }, requester }: InteractiveCall,
  stages: readonly Stage[],
): Promise<Step["proved"] | MatrixError> {
  if (auth?.type === undefined) return [];
  const stage = stages.find((it) => it === auth.type);
  if (!stage) {
    return new MatrixError("M_UNRECOGNIZED", "This stage is not asked for", { status: 401 });
  }
  const outcome = await tryStage(hs, stage, auth, requester);
  return outcome instanceof MatrixError ? outcome : [[stage, outcome]];
}

/** What one request does in a session. */
type Step = {
  readonly binding: Binding;
  /** The stage that it completes, if any. */
  readonly proved: readonly (readonly [Stage, Proof])[];
  /** Whether all that is needed has been proved. */
  readonly isLast: (completed: Session["completed"]) => boolean;
  readonly end: typeof deleteSession;
};

async function begin(
  hs: Homeserver,
  { binding, proved, isLast }: Step,
  keep: InteractiveOptions["keep"],
): Promise<Session> {
  const sessionId = randomBytes(18).toString("base64url");
  const completed = new Map<string, Proof>(proved);
  if (!isLast(completed)) {
    const asked = await keep?.();
    const row = { ...binding, sessionId, completed: JSON.stringify([...completed]), asked };
    await insertSession(hs.sql, row, hs.now() + LIFETIME_MS);
  }
  return { sessionId, completed };
}

/**
 * Takes a session further, from where it is by now: other requests may have completed stages of it while this one did.
 *
 * @throws MatrixError M_FORBIDDEN if another request has ended it, or it has become that of another.
 */
async function goOn(
  hs: Homeserver,
  sessionId: string,
  { binding, proved, isLast, end }: Step,
): Promise<Session> {
  return await hs.sql.begin(async (tx) => {
    const row = await lockSession(tx, sessionId, hs.now());
    if (!row) throw new MatrixError("M_FORBIDDEN", "This session has been used");
    const completed = new Map([...completedIn(row, binding), ...proved]);
    if (isLast(completed)) {
      await end(tx, sessionId);
    } else {
      const { bodyHash } = binding;
      await updateSession(tx, { sessionId, bodyHash, completed: JSON.stringify([...completed]) });
    }
    return { sessionId, completed };
  });
}

/** What was kept of the request that began a session, by `keep`; undefined also if the session has ended. */
export async function askedInSession(
  hs: Homeserver,
  sessionId: string,
): Promise<string | undefined> {
  return await askedIn(hs.sql, sessionId, hs.now());
}

/** What a session is of. */
type Binding = {
  readonly subject: string;
  readonly userKey: number | null;
  readonly bodyHash: Buffer;
};

export function bindingOf(
  { requester, params, body }: InteractiveCall,
  operation: OperationId,
): Binding {
  // Bodies and parameters have been read by a schema or a route, which fixes the order of their keys.
  const { auth: _, ...asked } = body;
  return {
    subject: JSON.stringify([operation, params]),
    userKey: requester?.userKey ?? null,
    bodyHash: hash("sha256", JSON.stringify(asked), "buffer"),
  };
}

/** What has been completed in a session. @throws MatrixError M_FORBIDDEN if it is of another request. */
function completedIn(row: SessionRow, binding: Binding): Session["completed"] {
  const completed = new Map(Completed.parse(JSON.parse(row.completed)) as [string, Proof][]);
  const isOther = row.subject !== binding.subject || row.userKey !== binding.userKey;
  // Of a session whose stage was completed on a page of ours there is none yet.
  const isBound = completed.size > 0 && row.bodyHash.length > 0;
  if (isOther || (isBound && !row.bodyHash.equals(binding.bodyHash))) {
    throw new MatrixError("M_FORBIDDEN", "This session is of another request");
  }
  return completed;
}

function wantedOf(
  hs: Homeserver,
  { sessionId, completed }: Session,
  flows: readonly (readonly Stage[])[],
) {
  const asksForTerms = flows.some((it) => it.includes("m.login.terms"));
  return {
    session: sessionId,
    flows: flows.map((stages) => ({ stages })),
    params: asksForTerms ? { "m.login.terms": termsParams(hs) } : {},
    completed: [...completed.keys()],
  };
}

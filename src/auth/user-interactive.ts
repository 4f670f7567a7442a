import { hash, randomBytes } from "node:crypto";
import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { OperationId } from "#src/kit/operation-ids.ts";
import type { AuthData } from "./auth-data.ts";
import { deleteSession, findSession, finishSession, saveSession } from "./queries-uia.ts";
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
  readonly isStored: boolean;
  readonly completed: Map<string, Proof>;
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
  { operation, flows = [["m.login.password"]], remembered }: InteractiveOptions,
): Promise<Proof> {
  const { auth } = call.body;
  const binding = bindingOf(call, operation);
  const session = (await continuedSession(hs, auth?.session, binding)) ?? freshSession();

  const save = async () => {
    const completed = JSON.stringify([...session.completed]);
    const { sessionId } = session;
    await saveSession(hs.sql, { ...binding, sessionId, completed }, hs.now() + LIFETIME_MS);
  };
  if (auth?.type !== undefined) {
    const stage = flows.flat().find((it) => it === auth.type);
    const outcome = stage
      ? await tryStage(hs, stage, auth, call.requester)
      : new MatrixError("M_UNRECOGNIZED", "This stage is not asked for", { status: 401 });
    if (outcome instanceof MatrixError) {
      await save();
      const { errcode, message, status } = outcome;
      throw new MatrixError(errcode, message, { status, fields: wantedOf(hs, session, flows) });
    }
    session.completed.set(auth.type, outcome);
  }
  if (!flows.some((flow) => flow.every((stage) => session.completed.has(stage)))) {
    await save();
    throw new MatrixError("M_UNAUTHORIZED", "More authentication is needed", {
      fields: wantedOf(hs, session, flows),
      bare: true,
    });
  }
  await endSession(hs, session, remembered === true);
  return Object.assign({}, ...session.completed.values()) as Proof;
}

/** @throws MatrixError M_FORBIDDEN if another request has ended it. */
async function endSession(hs: Homeserver, session: Session, isKept: boolean): Promise<void> {
  if (!session.isStored) return;
  const end = isKept ? finishSession : deleteSession;
  if (await end(hs.sql, session.sessionId)) return;
  throw new MatrixError("M_FORBIDDEN", "This session has been used");
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

/** The session that a client goes on with; undefined if it has expired, so that it begins anew. */
async function continuedSession(
  hs: Homeserver,
  sessionId: string | undefined,
  binding: Binding,
): Promise<Session | undefined> {
  const row = sessionId === undefined ? undefined : await findSession(hs.sql, sessionId, hs.now());
  if (!row) return undefined;
  const completed = new Map(Completed.parse(JSON.parse(row.completed)) as [string, Proof][]);
  const isOther = row.subject !== binding.subject || row.userKey !== binding.userKey;
  // Of a session whose stage was completed on a page of ours there is none yet.
  const isBound = completed.size > 0 && row.bodyHash.length > 0;
  if (isOther || (isBound && !row.bodyHash.equals(binding.bodyHash))) {
    throw new MatrixError("M_FORBIDDEN", "This session is of another request");
  }
  return { sessionId: row.sessionId, isStored: true, completed };
}

function freshSession(): Session {
  return {
    sessionId: randomBytes(18).toString("base64url"),
    isStored: false,
    completed: new Map(),
  };
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

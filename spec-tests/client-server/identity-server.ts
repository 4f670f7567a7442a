import { createHash } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { json } from "node:stream/consumers";
import { newPair, signed } from "./signing.ts";

/** What an identity server was asked. */
type Asked = {
  /** The last parts of the path, as in `store-invite`. */
  readonly what: string;
  readonly token: string;
  readonly body: Record<string, unknown>;
};

/** What a test has it answer instead of the truth; to what is held up it answers nothing. */
type Instead = { readonly status?: number; readonly body: unknown } | "nothing";

type Signed = { readonly mxid: string; readonly sender: string; readonly token: string };

/** An invitation as it is told to the server of whoever has bound the address. */
type BoundInvite = {
  readonly room_id: unknown;
  readonly sender: unknown;
  readonly signed: Signed & { readonly signatures?: object };
};

/** What it keeps. */
type Store = {
  /** Users by the addresses that they have bound. */
  readonly bindings: Map<string, string>;
  /** Invitations by the addresses that nobody has bound. */
  readonly waiting: Map<string, { token: string; room_id: unknown; sender: string }[]>;
};

/** An identity server that keeps to the specification, unless a test says otherwise. It knows e-mail addresses. */
export type IdentityServer = {
  readonly listener: RequestListener;
  /** Its name, once it listens. */
  name: string;
  /** What a client is known by to it. */
  readonly accessToken: string;
  readonly publicKey: string;
  readonly asked: Asked[];
  /** Whether its key is valid. */
  isValid: boolean;
  readonly pepper: string;
  algorithms: readonly string[];
  instead: (what: string) => Instead | undefined;
  /** The body by which a client invites. */
  invite(address: string): Record<string, string>;
  /** Binds an address. @returns what the user's server is to be told, with the invitations that have waited. */
  bind(address: string, userId: string): Record<string, unknown> & { invites: BoundInvite[] };
  /** What it signs for a user who has an invitation's token. */
  sign(invite: Signed): BoundInvite["signed"];
};

export function identityServer(): IdentityServer {
  const pair = newPair();
  const store: Store = { bindings: new Map(), waiting: new Map() };
  const it: IdentityServer = {
    listener: (request, response) => void respond({ it, store }, request, response),
    name: "id.test",
    accessToken: "an_access_token",
    publicKey: pair.publicKey,
    asked: [],
    isValid: true,
    pepper: "pepper",
    algorithms: ["none", "sha256"],
    instead: () => undefined,
    sign: (invite) => signed(invite, it.name, { name: "0", pair }),
    invite: (address) => ({
      id_server: it.name,
      id_access_token: it.accessToken,
      medium: "email",
      address,
    }),
    bind(address, userId) {
      store.bindings.set(address, userId);
      const about = { medium: "email", address, mxid: userId };
      const invites = (store.waiting.get(address) ?? []).map(({ token, room_id, sender }) => ({
        ...about,
        room_id,
        sender,
        signed: it.sign({ mxid: userId, sender, token }),
      }));
      store.waiting.delete(address);
      return { ...about, invites };
    },
  };
  return it;
}

/** Has an identity server listen on this machine. @returns what ends it. */
export async function listen(
  it: IdentityServer,
  certificate: { readonly cert: string; readonly key: string },
): Promise<() => void> {
  const server = createServer(certificate, it.listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  it.name = `127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  return () => {
    server.close();
    server.closeAllConnections();
  };
}

type Serving = { readonly it: IdentityServer; readonly store: Store };

async function respond(
  serving: Serving,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { it } = serving;
  const { pathname } = new URL(request.url ?? "/", "https://id.test");
  const what = pathname.replace("/_matrix/identity/v2/", "");
  const token = (request.headers.authorization ?? "").replace("Bearer ", "");
  const body = request.method === "POST" ? ((await json(request)) as Asked["body"]) : {};
  it.asked.push({ what, token, body });
  const instead = it.instead(what);
  if (instead === "nothing") return;
  const isKnown = token === it.accessToken || what.startsWith("pubkey/");
  const unknown = { status: 401, body: { errcode: "M_UNAUTHORIZED", error: "Who are you?" } };
  const answer = instead ?? (isKnown ? answerTo(serving, what, body) : unknown);
  response.writeHead(answer.status ?? 200, { "content-type": "application/json" });
  response.end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body));
}

function answerTo(
  { it, store }: Serving,
  what: string,
  body: Asked["body"],
): Exclude<Instead, "nothing"> {
  switch (what) {
    case "hash_details":
      return { body: { lookup_pepper: it.pepper, algorithms: it.algorithms } };
    case "lookup": {
      if (body["pepper"] !== it.pepper) return refused(400, "M_INVALID_PEPPER");
      const asked = body["addresses"] as string[];
      const known = [...store.bindings].map(([address, mxid]) => [encoded(it, address), mxid]);
      const found = known.filter(([address]) => asked.includes(address ?? ""));
      return { body: { mappings: Object.fromEntries(found) } };
    }
    case "store-invite":
      return storeInvite({ it, store }, body);
    case "pubkey/isvalid":
      return { body: { valid: it.isValid } };
    default:
      return refused(404, "M_UNRECOGNIZED");
  }
}

function storeInvite({ it, store }: Serving, body: Asked["body"]): Exclude<Instead, "nothing"> {
  const [address, sender] = [body["address"] as string, body["sender"] as string];
  const mxid = store.bindings.get(address);
  if (mxid !== undefined) return refused(400, "M_THREEPID_IN_USE", { mxid });
  const token = `token-${it.asked.length}-${Math.random().toString(36).slice(2)}`;
  const before = store.waiting.get(address) ?? [];
  store.waiting.set(address, [...before, { token, room_id: body["room_id"], sender }]);
  const publicKey = {
    public_key: it.publicKey,
    key_validity_url: `https://${it.name}/_matrix/identity/v2/pubkey/isvalid`,
  };
  return { body: { token, public_keys: [publicKey], display_name: `${address[0]}...@e...` } };
}

function refused(status: number, errcode: string, further: object = {}) {
  return { status, body: { errcode, error: "No", ...further } };
}

/** An address as it is asked for. */
function encoded({ algorithms, pepper }: IdentityServer, address: string): string {
  if (!algorithms.includes("sha256")) return `${address} email`;
  return createHash("sha256").update(`${address} email ${pepper}`).digest("base64url");
}

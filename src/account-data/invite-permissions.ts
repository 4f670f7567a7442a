import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { matchesGlob } from "#src/kit/glob.ts";
import { cachedByUser } from "#src/streams/cached-by-user.ts";
import { ACCOUNT_DATA, type AccountDataDetail } from "./account-data-stream.ts";
import { NO_ROOM } from "./account-data.ts";
import { accountDataAt } from "./queries-account-data.ts";

/**
 * What becomes of an invitation: the user sees it; whoever invites thinks so, and the user sees nothing; or it is
 * refused.
 */
export type InviteVerdict = "allow" | "ignore" | "block";

/** Says what becomes of the invitations of a user, by the user's ID. */
export type InvitePermissions = (sender: string) => InviteVerdict;

/** The specification's name, and the one of before. */
const DEFAULT_ACTION_TYPES = [
  "m.invite_permission_config",
  "org.matrix.msc4380.invite_permission_config",
];
const LISTS_TYPE = "org.matrix.msc4155.invite_permission_config";
const TYPES = new Set([...DEFAULT_ACTION_TYPES, LISTS_TYPE]);

const DefaultAction = z.object({ default_action: z.string() });

const Globs = z.array(z.unknown()).nullish().catch(undefined);
const Lists = z.object({
  allowed_users: Globs,
  ignored_users: Globs,
  blocked_users: Globs,
  allowed_servers: Globs,
  ignored_servers: Globs,
  blocked_servers: Globs,
});
type Lists = z.infer<typeof Lists>;

const EVERYBODY: InvitePermissions = () => "allow";

/** Globs of more than this are too many to be tried on each invitation. */
const MOST_GLOBS = 5_000;

function changesInvitePermissions(change: { stream: string; detail?: unknown }): boolean {
  return change.stream === ACCOUNT_DATA && TYPES.has((change.detail as AccountDataDetail).type);
}

/**
 * Who may invite a user of this server: by the specification all or nobody, and by the lists of MSC4155, of
 * which the first holds that names the sender, or else the sender's server.
 *
 * @spec client-server-api#invite-permission
 */
export const invitePermissionsOf: (hs: Homeserver, userKey: number) => Promise<InvitePermissions> =
  cachedByUser({
    most: 50_000,
    forgottenBy: changesInvitePermissions,
    async load(hs, userKey) {
      const keys = [...TYPES].map((type) => ({ userKey, roomKey: NO_ROOM, type }));
      const rows = await accountDataAt(hs.sql, keys);
      const contents = new Map(rows.map((it) => [it.type, JSON.parse(it.content) as unknown]));
      const blocksAll = DEFAULT_ACTION_TYPES.some(
        (it) => DefaultAction.safeParse(contents.get(it)).data?.default_action === "block",
      );
      if (blocksAll) return () => "block";
      const lists = Lists.safeParse(contents.get(LISTS_TYPE)).data;
      return lists ? byLists(lists) : EVERYBODY;
    },
  });

function byLists(lists: Lists): InvitePermissions {
  const rules = [
    ["allow", "user", lists.allowed_users],
    ["ignore", "user", lists.ignored_users],
    ["block", "user", lists.blocked_users],
    ["allow", "server", lists.allowed_servers],
    ["ignore", "server", lists.ignored_servers],
    ["block", "server", lists.blocked_servers],
  ] as const;
  const some = rules.flatMap(([verdict, of, globs]) => {
    const texts = (globs ?? []).filter((it) => typeof it === "string").slice(0, MOST_GLOBS);
    return texts.length > 0 ? [{ verdict, of, texts }] : [];
  });
  if (some.length === 0) return EVERYBODY;
  return (sender) => {
    const server = sender.slice(sender.indexOf(":") + 1);
    const rule = some.find(({ of, texts }) =>
      texts.some((it) => matchesGlob(it, of === "user" ? sender : server)),
    );
    return rule?.verdict ?? "allow";
  };
}

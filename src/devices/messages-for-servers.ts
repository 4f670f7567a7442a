import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { ServerName, UserId } from "#src/kit/identifiers.ts";
import { deleteTaken, type WaitingMessage, waitingForServers } from "./queries-to-device.ts";

/** The most messages that are read for a server at once. */
const MOST_MESSAGES = 400;

/** How many messages of one write go together. By where they stand in it, so that it is always the same ones. */
const BUNDLE = 20;

/** Messages of one sender and type, to be sent to another server together. */
export type Bundle = {
  readonly position: Position;
  readonly sender: UserId;
  readonly type: string;
  /** By which the other server knows a repetition. */
  readonly messageId: string;
  readonly messages: readonly {
    readonly part: number;
    readonly userId: UserId;
    readonly deviceId: string;
    /** JSON. */
    readonly content: string;
  }[];
};

/** What waits for other servers: the oldest, and perhaps not all. */
export async function bundlesFor(
  hs: Homeserver,
  servers: readonly ServerName[],
): Promise<Map<ServerName, { readonly bundles: readonly Bundle[]; readonly isMore: boolean }>> {
  const rows = await waitingForServers(hs.sql, servers, MOST_MESSAGES);
  return new Map(
    [...Map.groupBy(rows, (it) => it.serverName)].map(([server, its]) => {
      const isMore = its.length === MOST_MESSAGES;
      const bundles = [...Map.groupBy(its, bundleKey).values()].map(bundleOf);
      // The last may be cut through.
      return [server, { bundles: isMore ? bundles.slice(0, -1) : bundles, isMore }];
    }),
  );
}

/** Deletes what another server has taken. */
export async function forgetBundles(
  hs: Homeserver,
  server: ServerName,
  bundles: readonly Bundle[],
): Promise<void> {
  await deleteTaken(
    hs.sql,
    server,
    bundles.flatMap(({ position, messages }) => messages.map(({ part }) => ({ position, part }))),
  );
}

function bundleKey({ position, part }: WaitingMessage): string {
  return `${position} ${Math.floor(part / BUNDLE)}`;
}

function bundleOf(rows: readonly WaitingMessage[]): Bundle {
  const [first] = rows;
  if (!first) throw new RangeError("a bundle of nothing");
  const { position, sender, type } = first;
  // A message ID may have 32 characters, and a UUID has 36.
  return { position, sender, type, messageId: first.messageId.replaceAll("-", ""), messages: rows };
}

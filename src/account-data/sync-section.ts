import type { Filter } from "#src/filters/filter.ts";
import { matchesEventFilter } from "#src/filters/matches-event-filter.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { PUSH_RULES } from "#src/push-rules/push-rules-stream.ts";
import type { Range, SyncQuestion, SyncRoomPart, SyncSection } from "#src/streams/sync-section.ts";
import { ACCOUNT_DATA, type AccountDataDetail } from "./account-data-stream.ts";
import { DELETED, findAccountData, NO_ROOM, PUSH_RULES_TYPE } from "./account-data.ts";
import { type AccountDataKey, accountDataAt, accountDataOfUser } from "./queries-account-data.ts";

/**
 * Account data, also of rooms, with the push rules as if they were a piece of it.
 *
 * @spec client-server-api#client-config
 */
export const accountDataSection: SyncSection = {
  name: "account-data",
  streams: [ACCOUNT_DATA, PUSH_RULES],

  // That of a room, too, is for its owner alone.
  concerns: ({ userKey }, { requester }) => userKey === requester.userKey,

  async read(hs, question, range) {
    const [pieces, rules] = await Promise.all([
      piecesFor(hs, question, range),
      rulesChanged(question, range) ? pushRulesEvent(hs, question) : undefined,
    ]);
    const byRoom = Map.groupBy(pieces, (it) => it.roomKey);
    const filter = (question.filter as Filter | undefined)?.account_data;
    const global = [...(byRoom.get(NO_ROOM) ?? []).map(eventOf), ...(rules ? [rules] : [])].filter(
      (it) => matchesEventFilter(filter, it),
    );
    byRoom.delete(NO_ROOM);
    const rooms = [...byRoom].flatMap(([roomKey, its]): [number, SyncRoomPart][] =>
      question.rooms.has(roomKey) || question.leftRooms?.has(roomKey)
        ? [[roomKey, { accountData: its.map(eventOf) }]]
        : [],
    );
    return {
      ...(global.length > 0 && { global: { account_data: { events: global } } }),
      rooms: new Map(rooms),
    };
  },
};

type Piece = Required<AccountDataDetail> & { readonly roomKey: number };

async function piecesFor(
  hs: Homeserver,
  { requester, changes, newRooms }: SyncQuestion,
  { after }: Range,
): Promise<readonly Piece[]> {
  if (!changes || newRooms.size > 0) {
    const all = await accountDataOfUser(hs.sql, requester.userKey, {
      after: after ?? -1,
      newRooms,
    });
    return after === undefined ? all.filter((it) => it.content !== DELETED) : all;
  }
  // Of what has changed more than once, only what it is now.
  const pieces = new Map<string, AccountDataDetail & { readonly roomKey: number }>();
  for (const { stream, roomKey = NO_ROOM, detail } of changes) {
    if (stream !== ACCOUNT_DATA) continue;
    const piece = { roomKey, ...(detail as AccountDataDetail) };
    pieces.set(`${roomKey} ${piece.type}`, piece);
  }
  const { userKey } = requester;
  const short: Piece[] = [];
  const long: AccountDataKey[] = [];
  for (const { roomKey, type, content } of pieces.values()) {
    if (content === undefined) long.push({ userKey, roomKey, type });
    else short.push({ roomKey, type, content });
  }
  return long.length === 0 ? short : [...short, ...(await accountDataAt(hs.sql, long))];
}

/** Without knowing, they are told: they are few. What is of no room is new as a whole if `NO_ROOM` is. */
function rulesChanged({ changes, newRooms }: SyncQuestion, { after }: Range): boolean {
  if (after === undefined || !changes || newRooms.has(NO_ROOM)) return true;
  return changes.some((it) => it.stream === PUSH_RULES);
}

async function pushRulesEvent(
  hs: Homeserver,
  { requester }: SyncQuestion,
): Promise<AccountDataEvent> {
  const content = await findAccountData(hs, requester, NO_ROOM, PUSH_RULES_TYPE);
  return { type: PUSH_RULES_TYPE, content: JSON.parse(content ?? "{}") as object };
}

type AccountDataEvent = { readonly type: string; readonly content: object };

function eventOf({ type, content }: Piece): AccountDataEvent {
  return { type, content: JSON.parse(content) as object };
}

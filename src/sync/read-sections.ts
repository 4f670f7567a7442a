import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { Change } from "#src/streams/stream.ts";
import type {
  Range,
  SyncPart,
  SyncQuestion,
  SyncRoomPart,
  SyncSection,
} from "#src/streams/sync-section.ts";
import type { StickyPlace } from "#src/timeline/token.ts";

/** What all sections together say. */
export type Sections = {
  readonly global: Readonly<Record<string, unknown>>;
  readonly rooms: ReadonlyMap<number, SyncRoomPart>;
  /** Where one of them was cut short, if one was. */
  readonly cutAt: Position | undefined;
  /** How far they tell of sticky events, if not of all. */
  readonly stickyLeft?: StickyPlace | undefined;
};

/**
 * Asks each domain for its part of a sync. One whose streams have told nothing that concerns the user
 * is not asked, if all that happened is in memory.
 */
export async function readSections(
  hs: Homeserver,
  sections: readonly SyncSection[],
  question: SyncQuestion,
  range: Range,
): Promise<Sections> {
  // Most often nothing has happened that most of them tell of.
  const mustAsk =
    range.after === undefined || question.newRooms.size > 0 || question.resumeAfter !== undefined;
  const happened = new Set(question.changes?.map((it) => it.stream));
  const asked: Promise<SyncPart>[] = [];
  for (const section of sections) {
    const changes = changesOf(section, happened, question);
    if (!mustAsk && changes?.length === 0) continue;
    asked.push(section.read(hs, { ...question, changes }, range));
  }
  const parts = await Promise.all(asked);
  return {
    global: Object.assign({}, ...parts.map((it) => it.global ?? {})),
    rooms: joined(parts),
    cutAt: parts.find((it) => it.cutAt !== undefined)?.cutAt,
  };
}

const NOTHING: readonly Change[] = [];

/** What has happened that a section tells of, if that is in memory. */
function changesOf(
  section: SyncSection,
  happened: ReadonlySet<string>,
  question: SyncQuestion,
): readonly Change[] | undefined {
  if (!question.changes) return undefined;
  if (!section.streams.some((it) => happened.has(it))) return NOTHING;
  return question.changes.filter((it) => isOf(section, it, question));
}

function isOf(section: SyncSection, change: Change, question: SyncQuestion): boolean {
  if (!section.streams.includes(change.stream)) return false;
  if (section.concerns) return section.concerns(change, question);
  const { requester, rooms } = question;
  if (change.deviceKey !== undefined) return change.deviceKey === requester.deviceKey;
  if (change.userKey !== undefined) return change.userKey === requester.userKey;
  return change.roomKey !== undefined && rooms.has(change.roomKey);
}

function joined(parts: readonly SyncPart[]): Map<number, SyncRoomPart> {
  const rooms = new Map<number, SyncRoomPart>();
  for (const part of parts) {
    for (const [roomKey, it] of part.rooms ?? []) {
      const before = rooms.get(roomKey);
      rooms.set(roomKey, {
        ephemeral: [...(before?.ephemeral ?? []), ...(it.ephemeral ?? [])],
        accountData: [...(before?.accountData ?? []), ...(it.accountData ?? [])],
        other: { ...before?.other, ...it.other },
      });
    }
  }
  return rooms;
}

import type { Position } from "#src/homeserver/position.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";

/**
 * A place between two events of a room's order: just after the event at (anchor, offset). A position of
 * the streams is such a place too, so `/sync` and `/messages` take each other's tokens.
 */
export type Place = { readonly anchor: Position; readonly offset: number };

/**
 * The tokens of `/sync`: `s` and a position; if a device's queue of messages was not told to its end, up to where it was,
 * after a point; and a `StickyPlace`, if there is one, after a hyphen. Those of sliding sync name what the connection has
 * been told, after a tilde. Those of `/messages` may have an offset.
 */
const TOKEN =
  /^s(?<anchor>\d{1,15})(?:_(?<offset>-?\d{1,9})|~(?<told>\d{1,15})|(?:\.(?<cutAt>\d{1,15}))?(?:-(?<stickyAfter>\d{1,15})-(?<stickyTold>\d{1,15}))?)$/;

/**
 * How far a client has been told of sticky events, if there were too many to be told at once: of those that are news after
 * one position, those by which clients were told of them up to another.
 */
export type StickyPlace = { readonly after: Position; readonly told: Position };

export function tokenOf({ anchor, offset }: Place): string {
  return offset === LAST ? `s${anchor}` : `s${anchor}_${offset}`;
}

/** The token of a sync up to a position whose answer was cut short at another, or has told of sticky events to a place, if so. */
export function syncTokenOf(
  position: Position,
  cutAt: Position | undefined,
  sticky?: StickyPlace,
): string {
  const cut = cutAt === undefined ? "" : `.${cutAt}`;
  return `s${position}${cut}${sticky ? `-${sticky.after}-${sticky.told}` : ""}`;
}

/** Where the answer that a token of `/sync` came with was cut short, if it was. */
export function cutOf(token: string): Position | undefined {
  const cutAt = TOKEN.exec(token)?.groups?.["cutAt"];
  return cutAt === undefined ? undefined : Number(cutAt);
}

/** How far the answer that a token came with has told of sticky events, if not of all. */
export function stickyPlaceOf(token: string): StickyPlace | undefined {
  const { stickyAfter, stickyTold } = TOKEN.exec(token)?.groups ?? {};
  if (stickyAfter === undefined) return undefined;
  return { after: Number(stickyAfter), told: Number(stickyTold) };
}

/** The token of sliding sync: a position, and the key of what the connection has been told up to it. */
export function posOf(position: Position, toldKey: number): string {
  return `s${position}~${toldKey}`;
}

/** What a token of sliding sync holds; undefined if it is none. */
export function readPos(pos: string): { position: Position; toldKey: number } | undefined {
  const { anchor, told } = TOKEN.exec(pos)?.groups ?? {};
  if (told === undefined) return undefined;
  return { position: Number(anchor), toldKey: Number(told) };
}

/** The offset that is after all events of an anchor. */
const LAST = 0;

/**
 * Reads a token of ours.
 *
 * @throws MatrixError M_INVALID_PARAM
 */
export function placeOf(token: string): Place {
  const found = TOKEN.exec(token)?.groups;
  if (!found) throw new MatrixError("M_INVALID_PARAM", "Not a token of this server");
  return { anchor: Number(found["anchor"]), offset: Number(found["offset"] ?? LAST) };
}

/** The place just before an event: where reading backwards goes on from it. */
export function placeBefore(anchor: Position, offset: number): Place {
  return { anchor, offset: offset - 1 };
}

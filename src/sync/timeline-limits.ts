/** How many events a client gets of a room, if it does not say. */
const STANDARD = 10;
const MOST = 1_000;

/** How many events are looked through for each that a filter lets pass, and at least. */
const LOOKED_AT_PER_EVENT = 10;
const LEAST_LOOKED_AT = 100;

/** The most events that one answer is made from, of all its rooms together, if they are not very many. */
const MOST_IN_ALL = 200_000;

/** How many events an answer tells of each of its rooms. */
export function timelineLimit(asked: number | undefined, rooms: number): number {
  return Math.min(asked ?? STANDARD, MOST, Math.max(STANDARD, shareOf(rooms)));
}

/** How many events of a room are looked through for so many that a filter lets pass. */
export function lookedAtFor(limit: number, rooms: number): number {
  const wanted = Math.max(limit * LOOKED_AT_PER_EVENT, LEAST_LOOKED_AT);
  return Math.min(wanted, Math.max(limit, LEAST_LOOKED_AT, shareOf(rooms)));
}

function shareOf(rooms: number): number {
  return Math.floor(MOST_IN_ALL / Math.max(rooms, 1));
}

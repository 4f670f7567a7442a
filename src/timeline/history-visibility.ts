import type { StoredEvent } from "#src/rooms/stored-event.ts";

/** From what lets the most see to what lets the fewest. */
const ORDER = ["world_readable", "shared", "invited", "joined"] as const;
export type Visibility = (typeof ORDER)[number];

/** What an unset or unknown visibility counts as. */
const DEFAULT: Visibility = "shared";

function visibilityOf(value: string | undefined): Visibility {
  return ORDER.find((it) => it === value) ?? DEFAULT;
}

/** What the state before and after an event says of who may see it. */
export type StateAround = {
  readonly visibilityBefore: string | undefined;
  readonly visibilityAfter: string | undefined;
  readonly membershipBefore: string | undefined;
  readonly membershipAfter: string | undefined;
};

/**
 * Whether a user may see an event.
 *
 * @param joinedUntil the place in the room's order up to which the user has been joined last: infinite
 *   for one who is, undefined for one who never was.
 * @spec client-server-api#room-history-visibility
 */
export function isVisible(
  event: StoredEvent,
  around: StateAround,
  { userId, joinedUntil }: { readonly userId: string; readonly joinedUntil: number | undefined },
): boolean {
  const ownMember = event.type === "m.room.member" && event.stateKey === userId;
  const { memberships, visibilities } = whatCounts(event, around, ownMember);
  if (ownMember || visibilities.includes("world_readable") || memberships.includes("join")) {
    return true;
  }
  const joinedLater = joinedUntil !== undefined && (event.anchor ?? 0) <= joinedUntil;
  if (!joinedLater) return false;
  return (
    visibilities.includes("shared") ||
    (visibilities.includes("invited") && memberships.includes("invite"))
  );
}

/** What the user was, and who was to see, when an event was sent. */
function whatCounts(event: StoredEvent, around: StateAround, ownMember: boolean) {
  // A change of one's own membership counts by either side of it.
  const memberships = ownMember
    ? [around.membershipBefore, around.membershipAfter]
    : [around.membershipBefore];
  const visibilities = visibilitiesOf(event, around.visibilityBefore, around.visibilityAfter);
  return { memberships, visibilities };
}

/**
 * Who was to see an event: a change of the visibility itself counts by either side of it.
 *
 * @param before what the state before it says, and `after` that after it.
 */
export function visibilitiesOf(
  event: StoredEvent,
  before: string | undefined,
  after: string | undefined,
): readonly Visibility[] {
  const isChange = event.type === "m.room.history_visibility" && event.stateKey === "";
  return isChange ? [visibilityOf(before), visibilityOf(after)] : [visibilityOf(before)];
}

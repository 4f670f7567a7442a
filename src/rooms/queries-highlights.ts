import { mentionsOf } from "#src/events/mentions.ts";
import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import type { NewEvent } from "./room-in-making.ts";

/** Stands for everyone in the room, in a row of `highlights`. */
const EVERYONE = 0;

type Link = {
  readonly event: NewEvent;
  readonly eventKey: number;
  readonly room: { readonly roomKey: number };
};

/** Records whom events mention, of the users of this server that are in the room. */
export function insertHighlights(hs: Homeserver, lane: Tx, links: readonly Link[]): void {
  const everyone: Link[] = [];
  const users: { link: Link; user: UserId }[] = [];
  for (const link of links) {
    const { levels, event } = link.event;
    const mentions = mentionsOf(event, {
      senderMayNotifyRoom: levels.powerOf(event.sender) >= levels.notificationLevel("room"),
    });
    if (mentions.room) everyone.push(link);
    for (const user of mentions.users) {
      if (serverNameOf(user) === hs.name && user !== event.sender) users.push({ link, user });
    }
  }
  if (everyone.length === 0 && users.length === 0) return;
  void lane`
    insert into highlights (room_key, user_key, event_key)
    select room_key, ${EVERYONE}, event_key from unnest(
      ${everyone.map((it) => it.room.roomKey)}::bigint[], ${everyone.map((it) => it.eventKey)}::bigint[])
      as everyone (room_key, event_key)
    union all
    select mention.room_key, memberships.user_key, mention.event_key from unnest(
      ${users.map((it) => it.link.room.roomKey)}::bigint[], ${users.map((it) => it.user)}::text[],
      ${users.map((it) => it.link.eventKey)}::bigint[]) as mention (room_key, user_id, event_key)
    join users on users.user_id = mention.user_id
    join memberships on memberships.user_key = users.user_key
      and memberships.room_key = mention.room_key and memberships.membership = 'join'
    on conflict do nothing`;
}

import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { write } from "#src/streams/write.ts";
import { accountDataStream } from "./account-data-stream.ts";
import { requireSpace } from "./account-data.ts";
import { accountDataContent } from "./queries-account-data.ts";

export const TAG = "m.tag";

/** @spec client-server-api#room-tagging */
const MOST_TAG_BYTES = 255;

/** The most that all tags of a room may take, as JSON. */
const MOST_CHARACTERS = 65_536;

/** The tags of a room may have been set as account data, so they are read with care. */
const TagContent = z.object({ tags: z.record(z.string(), z.unknown()) });

type Tags = Readonly<Record<string, unknown>>;
type Whose = { readonly userKey: number; readonly roomKey: number };

/** The tags in a piece of account data that is about a room. */
export function tagsIn(content: unknown): Tags {
  return TagContent.safeParse(content).data?.tags ?? {};
}

/** The tags that a user has given a room. */
export async function tagsOf(hs: Homeserver, whose: Whose): Promise<Tags> {
  const content = await accountDataContent(hs.sql, { ...whose, type: TAG });
  return content === undefined ? {} : tagsIn(JSON.parse(content));
}

/**
 * Gives a room a tag.
 *
 * @param tag what is to be known of it, such as its `order`.
 * @throws MatrixError M_INVALID_PARAM if the name is too long; M_TOO_LARGE.
 * @spec client-server-api#put_matrixclientv3useruseridroomsroomidtagstag
 */
export async function setTag(
  hs: Homeserver,
  whose: Whose,
  name: string,
  tag: object,
): Promise<void> {
  if (Buffer.byteLength(name) > MOST_TAG_BYTES) {
    throw new MatrixError("M_INVALID_PARAM", `A tag has at most ${MOST_TAG_BYTES} bytes`);
  }
  await requireSpace(hs, { ...whose, type: TAG }, MOST_CHARACTERS);
  await changeTags(hs, whose, (tags) => {
    const changed: Entries = [...tags.filter(([it]) => it !== name), [name, tag]];
    if (JSON.stringify(changed).length > MOST_CHARACTERS) {
      throw new MatrixError("M_TOO_LARGE", `Tags have at most ${MOST_CHARACTERS} characters`);
    }
    return changed;
  });
}

/** Takes a tag from a room. It need not have it. */
export async function deleteTag(hs: Homeserver, whose: Whose, name: string): Promise<void> {
  await changeTags(hs, whose, (tags) => tags.filter(([it]) => it !== name));
}

/** Gives a room the tags that its user has given another, but for those that it has. */
export async function copyTags(
  hs: Homeserver,
  userKey: number,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  const tags = Object.entries(await tagsOf(hs, { userKey, roomKey: from }));
  if (tags.length === 0) return;
  await changeTags(hs, { userKey, roomKey: to }, (own) => [...tags, ...own]);
}

type Entries = readonly (readonly [string, unknown])[];

async function changeTags(
  hs: Homeserver,
  whose: Whose,
  change: (tags: Entries) => Entries,
): Promise<void> {
  await write(hs, accountDataStream, {
    ...whose,
    type: TAG,
    change: (current) => ({ tags: Object.fromEntries(change(Object.entries(tagsIn(current)))) }),
  });
}

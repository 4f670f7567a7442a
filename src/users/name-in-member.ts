import { z } from "zod";

/** As long as the names of our own users may be. */
const MOST_NAME_CHARACTERS = 256;

/** Other servers' users may be called anything, also what the database cannot hold. */
const Name = z
  .string()
  .transform((it) => it.replaceAll("\0", "").slice(0, MOST_NAME_CHARACTERS).toWellFormed());

/** What we read of a member event. Whatever is no text counts as left out. */
const Member = z.object({
  content: z.object({
    displayname: Name.optional().catch(undefined),
    avatar_url: z
      .string()
      .refine((it) => !it.includes("\0"))
      .optional()
      .catch(undefined),
  }),
});

/** What a member event calls a user. */
export type NameInMember = z.infer<typeof Member>["content"];

/** What a member event of a user of another server calls them. @returns undefined if it is no such event. */
export function nameInMember(json: string): NameInMember | undefined {
  return Member.safeParse(JSON.parse(json)).data?.content;
}

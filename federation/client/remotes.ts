import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Remotes } from "#src/homeserver/remotes.ts";
import { directoryQuestions } from "./ask-directories.ts";
import { eventQuestions } from "./ask-events.ts";
import { keyQuestions } from "./ask-keys.ts";
import { mediaQuestions } from "./ask-media.ts";
import { membershipQuestions } from "./ask-memberships.ts";
import { userQuestions } from "./ask-users.ts";

/** Everything that this server can ask others. */
export function remotesOf(hs: Homeserver): Omit<Remotes, "verifyKeys"> {
  return {
    ...eventQuestions(hs),
    ...membershipQuestions(hs),
    ...directoryQuestions(hs),
    ...userQuestions(hs),
    ...mediaQuestions(hs),
    ...keyQuestions(hs),
  };
}

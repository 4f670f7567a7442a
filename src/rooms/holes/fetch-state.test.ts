import { expect, test } from "vitest";
import { answersFrom, sharedRoom } from "#federation/inbound/testing.ts";
import { memberDraft, message } from "#src/events/testing.ts";
import { answerTurnsOf, MOST_WORKED_ON_BYTES } from "#src/homeserver/answer-memory.ts";
import { fetchState } from "./fetch-state.ts";
import { holedFederation } from "./testing.ts";

const { hs, peer } = await holedFederation();

/** What makes an answer so large that it is weighed. */
const LARGE_BYTES = 2 * 1024 * 1024;
const PADDING = Array.from({ length: 64 }, () => "x".repeat(LARGE_BYTES / 64));

/** Above and below the number of unknown events from which on all of a state is asked for at once. */
const GUESTS = [2, 60];

test.each(GUESTS)(
  "the state of a server that does not tell all that authorises it is had whole, with %i guests",
  async (guests) => {
    const { remote, room, joined } = await sharedRoom(hs, peer);
    let last = joined;
    const invites = new Set<unknown>();
    for (let n = 0; n < guests; n++) {
      const guest = peer.user(`guest${n}`);
      const invite = remote.add(peer.user("creator"), memberDraft(guest, "invite"), [last]);
      invites.add(invite);
      last = remote.add(guest, memberDraft(guest, "join"), [invite]);
    }
    const end = remote.add(peer.user("creator"), message("here"), [last]);
    const all = answersFrom(remote);
    // Leaves memory for one such answer at a time.
    const taken = MOST_WORKED_ON_BYTES - 1.5 * LARGE_BYTES;
    expect(await answerTurnsOf(hs).take(taken, hs.stopping)).toBe(true);
    peer.answer((request) => {
      const answer = all(request);
      if (request.path.includes("/state_ids/")) {
        const { auth_chain_ids: chain, ...rest } = answer as { auth_chain_ids: unknown[] };
        return { ...rest, auth_chain_ids: chain.filter((id) => !invites.has(id)) };
      }
      if (request.path.includes("/event_auth/")) return { ...(answer as object), more: PADDING };
      if (!request.path.includes("/state/")) return answer;
      return { ...(answer as object), auth_chain: [], more: PADDING };
    });
    const sources = { servers: [peer.name], remotes: hs.remotes, keys: hs.remotes.verifyKeys };
    const state = await fetchState(hs, room, end, sources);
    answerTurnsOf(hs).give(taken);
    expect(state?.toSorted()).toEqual([...remote.stateAfter([last]).values()].toSorted());
  },
);

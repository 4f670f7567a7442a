import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { networkOf } from "./network-of.ts";

/** The most bytes of bodies that a process holds of those who have not shown yet who they are. */
const MOST_BYTES = 192 * 1024 * 1024;

/** Of those, what may come from one network: one who sends nonsense must not keep the others out. */
const MOST_BYTES_OF_ONE = MOST_BYTES / 3;

/** When one who is told that there is no room may come again. */
const RETRY_MS = 2_000;

const heldBytesOf = held(() => ({ all: 0, byNetwork: new Map<string, number>() }));

/** What is held of one body. */
export type BodyShare = {
  /** @throws MatrixError M_LIMIT_EXCEEDED if there is no room for so many bytes more. */
  readonly take: (bytes: number) => void;
  /** Says that nothing of it is held any more, or that it is known whose it is. */
  readonly giveBack: () => void;
};

/**
 * Room for a body that must be read whole before it is known who sent it, as the signature of another server covers it:
 * many large ones must not add up.
 */
export function bodyShare(hs: Homeserver, address: string): BodyShare {
  const heldBytes = heldBytesOf(hs);
  const { byNetwork } = heldBytes;
  const network = networkOf(address);
  let taken = 0;
  return {
    take(bytes) {
      const ofOne = (byNetwork.get(network) ?? 0) + bytes;
      if (ofOne > MOST_BYTES_OF_ONE || heldBytes.all + bytes > MOST_BYTES) {
        throw new MatrixError("M_LIMIT_EXCEEDED", "Too many large requests at once", {
          fields: { retry_after_ms: RETRY_MS },
        });
      }
      taken += bytes;
      heldBytes.all += bytes;
      byNetwork.set(network, ofOne);
    },
    giveBack() {
      heldBytes.all -= taken;
      const left = (byNetwork.get(network) ?? 0) - taken;
      if (left > 0) byNetwork.set(network, left);
      else byNetwork.delete(network);
      taken = 0;
    },
  };
}

import { z } from "zod";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { placeOf, tokenOf, type Place } from "#src/timeline/token.ts";
import type { GroupKey } from "./search-request.ts";

/** Where a search goes on. */
export type SearchToken = {
  /** What is after this place is passed over. */
  readonly from: Place;
  /** Of a search by rank: how many of the results have been told. */
  readonly told: number;
  /** How many there are in all, as was found out for the first page. */
  readonly count: number;
  /** The group in which it goes on, if in one. */
  readonly group?: { readonly key: GroupKey; readonly value: string } | undefined;
};

const Parts = z.tuple([
  z.string(),
  z.int().min(0),
  z.int().min(0),
  z.enum(["room_id", "sender"]).nullable(),
  z.string(),
]);

export function searchTokenOf({ from, told, count, group }: SearchToken): string {
  const parts = [tokenOf(from), told, count, group?.key ?? null, group?.value ?? ""];
  return Buffer.from(JSON.stringify(parts)).toString("base64url");
}

/** @throws MatrixError M_INVALID_PARAM */
export function parseSearchToken(token: string): SearchToken {
  const [place, told, count, key, value] = partsIn(token);
  return { from: placeOf(place), told, count, ...(key !== null && { group: { key, value } }) };
}

function partsIn(token: string): z.infer<typeof Parts> {
  try {
    return Parts.parse(JSON.parse(Buffer.from(token, "base64url").toString()));
  } catch (error) {
    throw new MatrixError("M_INVALID_PARAM", "next_batch is no token of a search", {
      cause: error,
    });
  }
}

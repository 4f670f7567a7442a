import { jsonPieces, jsonText } from "#src/http/endpoint.ts";
import { parseEventId, parseRoomId } from "#src/kit/identifiers.ts";
import type { SentMember } from "../read-member-event.ts";

export const V1 = "/_matrix/federation/v1";
export const V2 = "/_matrix/federation/v2";

/**
 * What is said of a member event by the path to which it is sent.
 *
 * @throws MatrixError M_INVALID_PARAM
 */
export function sentMember(
  params: Readonly<Record<string, string>>,
  sent: Pick<SentMember, "membership" | "pdu">,
): SentMember {
  return {
    roomId: parseRoomId(params["roomId"] ?? ""),
    eventId: parseEventId(params["eventId"] ?? ""),
    ...sent,
  };
}

/**
 * An answer in the form that the version of the API has by which it was asked. The first, which servers from
 * before 2019 ask, repeats the status; the specification has had no such route since version 1.18.
 */
export function answerOf(path: string, text: string): Response {
  return jsonText(path.startsWith(V1) ? `[200,${text}]` : text);
}

/** The same of an answer that comes in pieces. */
export function piecesOf(path: string, pieces: AsyncIterable<string>): Response {
  return jsonPieces(path.startsWith(V1) ? inV1(pieces) : pieces);
}

async function* inV1(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  yield "[200,";
  yield* pieces;
  yield "]";
}

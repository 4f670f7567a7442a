import { existsSync } from "node:fs";
import { join } from "node:path";
import { noteOmission } from "../needs.ts";
import { documentAt, isRecord, resolved, specificationData } from "./load-yaml.ts";
import { operationAt, specifiedOperations, type SpecifiedOperation } from "./operations.ts";
import { faultsOf } from "./schemas.ts";

const directory = specificationData();

/**
 * Whose schemas are other than what they describe: of an invitation they want an `origin`, which no room version has,
 * and the answer of the first version, a list of a number and an object, is a list of either.
 */
const MISDESCRIBED = new Set(["sendInviteV1", "sendInviteV2"]);

let operations: readonly SpecifiedOperation[] | undefined;

/** An answer to a request, and which request it was. */
export type CheckedAnswer = {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly body: unknown;
};

/**
 * What the specification's schemas find wrong with an answer of JSON, and with the events in it. Without the
 * specification's sources nothing is found wrong; the end of the run says so.
 */
export function faultsOfAnswer({ method, path, status, body }: CheckedAnswer): string[] {
  if (directory === undefined) {
    noteOmission("specification");
    return [];
  }
  operations ??= specifiedOperations(directory);
  const operation = operationAt(operations, method, path);
  const schema = operation && schemaFor(operation, { method, path, status, body });
  const faults = schema === undefined ? [] : faultsOf(schema, body);
  if (status !== 200) return faults;
  return [...faults, ...eventsIn(body).flatMap((event) => faultsOfEvent(directory, event))];
}

/** The schema that an answer should have, if it is to be believed. */
function schemaFor(
  { operationId, schemas }: SpecifiedOperation,
  { path, status, body }: CheckedAnswer,
): object | undefined {
  // What is described of 401 is the question of user-interactive authentication, not the error of a bad token.
  const isQuestion = isRecord(body) && "flows" in body;
  if (status === 401 && !isQuestion) return undefined;
  // An event, which is an object too, is not one of the two things that the specification has here, but both.
  if (operationId === "getRoomStateWithKey" && path.includes("format=event")) return undefined;
  // What is to be sent later has no ID yet (MSC4140).
  if (path.includes("org.matrix.msc4140.delay=")) return undefined;
  // That there is no TURN server is said as deployed clients understand it.
  if (operationId === "getTurnServer" && isRecord(body) && Object.keys(body).length === 0) {
    return undefined;
  }
  return MISDESCRIBED.has(operationId) ? undefined : schemas.get(status);
}

type Event = Record<string, unknown> & { readonly type: string };

/** Every event that is anywhere in an answer: an object with a type, a content, a sender and an ID. */
function eventsIn(value: unknown): Event[] {
  if (Array.isArray(value)) return value.flatMap(eventsIn);
  if (!isRecord(value)) return [];
  const { type, content, sender, event_id } = value;
  if (typeof type === "string" && isRecord(content) && sender !== undefined && event_id) {
    return [value as Event];
  }
  return Object.values(value).flatMap(eventsIn);
}

const eventSchemas = new Map<string, object | undefined>();

/** What the schema of its type finds wrong with an event. Those of other types may be as they like. */
function faultsOfEvent(specification: string, event: Event): string[] {
  // What has been redacted lacks what its type requires.
  if (isRecord(event["unsigned"]) && "redacted_because" in event["unsigned"]) return [];
  // So does what its sender had erased, for those who come later; of that nothing else is to be seen.
  if (isRecord(event["content"]) && Object.keys(event["content"]).length === 0) return [];
  const schema = eventSchemas.get(event.type) ?? eventSchemaOf(specification, event.type);
  eventSchemas.set(event.type, schema);
  // Everywhere but in `/sync`, where the room stands beside it, an event says of which room it is.
  const whole = { room_id: "!not-said", ...event };
  const faults = schema === undefined ? [] : faultsOf(schema, whole);
  return faults.map((fault) => `${event.type}: ${fault}`);
}

function eventSchemaOf(specification: string, type: string): object | undefined {
  if (!/^[a-z._]+$/.test(type)) return undefined;
  const path = join(specification, "event-schemas/schema", `${type}.yaml`);
  if (!existsSync(path)) return undefined;
  const schema = resolved(documentAt(path), path);
  return isRecord(schema) ? schema : undefined;
}

import formats from "ajv-formats";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";

/** The specification's own formats of strings, of its `string-formats.yaml`. */
const MATRIX_FORMATS = {
  "mx-user-id": /^@[^:]*:.+$/s,
  "mx-room-id": /^!.+/s,
  "mx-room-alias": /^#[^:]*:.+/s,
  "mx-event-id": /^\$.+/s,
  "mx-server-name": /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::\d+)?$/,
  "mx-mxc-uri": /^mxc:\/\/[^/]+\/[A-Za-z0-9_-]+$/,
  "mx-unpadded-base64": /^[A-Za-z0-9+/]*$/,
  "mx-urlsafe-unpadded-base64": /^[A-Za-z0-9_-]*$/,
};

/** Formats of numbers that OpenAPI names and that say nothing that their type does not. */
const NUMBER_FORMATS = ["int64", "int32", "float", "byte"];

function newAjv(): Ajv2020 {
  const ajv = new Ajv2020({ strict: false, allErrors: true, logger: false });
  formats.default(ajv);
  for (const [name, pattern] of Object.entries(MATRIX_FORMATS)) ajv.addFormat(name, pattern);
  for (const name of NUMBER_FORMATS) ajv.addFormat(name, true);
  return ajv;
}

/** One for each schema: many of them have the same `$id`. */
const validators = new WeakMap<object, ValidateFunction>();

/** What a schema finds wrong with a value, one line for each fault. */
export function faultsOf(schema: object, value: unknown): string[] {
  const validate = validators.get(schema) ?? newAjv().compile(schema);
  validators.set(schema, validate);
  if (validate(value)) return [];
  return (validate.errors ?? []).map((it) => `${it.instancePath || "/"}: ${it.message ?? "?"}`);
}

import { z } from "zod";
import type { CanonicalObject } from "./canonical-json.ts";

/**
 * Any JSON object, kept as it is: whether what is in it has Canonical JSON is found out when an event
 * is made of it.
 */
export const JsonObject = z.custom<CanonicalObject>(
  (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  "must be an object",
);

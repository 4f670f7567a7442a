import { z } from "zod";

/** A text that may be left out, or be null: clients do both. */
export const OptionalText = z.string().nullish();

import type { z } from "zod";
import { MatrixError } from "#src/kit/matrix-error.ts";

/**
 * Reads a filter that is a query parameter.
 *
 * @throws MatrixError M_INVALID_PARAM
 */
export function filterFromText<T>(schema: z.ZodType<T>, text: string): T {
  const result = schema.safeParse(parsed(text));
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new MatrixError(
    "M_INVALID_PARAM",
    `filter: ${issue?.path.map(String).join(".") ?? ""}: ${issue?.message ?? "invalid"}`,
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MatrixError("M_INVALID_PARAM", "The filter is not JSON", { cause });
  }
}

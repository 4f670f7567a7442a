import type { HttpBindings } from "@hono/node-server";
import { getPath } from "hono/utils/url";

/**
 * The path of a request as the request line has it. To the web's URL `.` and `..` are steps, even when
 * they are escaped; to us they are identifiers like others, and no path leads from one API to another.
 *
 * @param bindings absent where there is no request line, as in tests.
 */
export function requestPath(
  request: Request,
  bindings?: { readonly env?: Partial<HttpBindings> | undefined },
): string {
  const target = bindings?.env?.incoming?.url;
  return getPath(target?.startsWith("/") ? ({ url: `http://host${target}` } as Request) : request);
}

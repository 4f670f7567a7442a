/** PostgreSQL's code for a disk that has no room left, and the system's, also for a quota that is used up. */
const CODES = new Set(["53100", "ENOSPC", "EDQUOT"]);

/** Whether there was no room left for what was to be stored. None of it was. */
export function isStorageFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && CODES.has(String(error.code));
}

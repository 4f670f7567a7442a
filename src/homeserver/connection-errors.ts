/** The driver's codes for a connection that is gone, or could not be made. */
const DRIVER_CODES = /^CONNECT(ION)?_/;

/** PostgreSQL's codes for that it goes away, or is not there yet. */
const SERVER_CODES = /^(57P|08)...?$/;

/** What the system says of a connection, and Node of one that it has closed already. */
const NETWORK_CODES =
  /^(ECONN(RESET|REFUSED|ABORTED)|EPIPE|ETIMEDOUT|E(HOST|NET)(UNREACH|DOWN)|ENOTFOUND|EAI_AGAIN|ERR_STREAM_\w+)$/;

/** Whether an error is the connection's end, or that none could be made, and not the server's answer to a statement. */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error) || !("code" in error)) return false;
  const code = String(error.code);
  // Of a unix socket that is not there, or not ours, the system says what it says of files.
  const isConnect = "syscall" in error && error.syscall === "connect";
  return isConnect || [DRIVER_CODES, SERVER_CODES, NETWORK_CODES].some((it) => it.test(code));
}

/**
 * Whether the database could not be reached: it starts, stops, has no connection left, takes no writes, or the network is cut.
 * What was asked of it may have been done or not.
 */
export function isDatabaseAway(error: unknown): boolean {
  return isConnectionError(error) || isDatabaseFull(error) || isReadOnly(error);
}

/**
 * Whether a connection is of a database that takes no writes, such as one whose standby has taken over. What was asked was
 * not done. A new connection may lead to one that does; this one stays as it is, also when the database takes them again.
 */
export function isReadOnly(error: unknown): boolean {
  return hasCode(error, "25006");
}

/** Whether the database lets no more connections be made than there are. What was asked on one more was not done. */
export function isDatabaseFull(error: unknown): boolean {
  return hasCode(error, "53300");
}

/** As the driver says it of a connection that has closed: nobody knows whether what was sent is durable. */
export function lostConnection(cause?: unknown): Error {
  return Object.assign(new Error("The connection to the database is lost", { cause }), {
    code: "CONNECTION_CLOSED",
  });
}

/** As the driver says it of a connection that cannot be made. */
export function noAnswer(): Error {
  return Object.assign(new Error("The database does not answer"), { code: "CONNECT_TIMEOUT" });
}

/** Whether the database has undone a transaction only because it and another waited for each other. */
export function isDeadlock(error: unknown): boolean {
  return hasCode(error, "40P01");
}

/** Whether an error is the driver's own fault when a connection is lost: of a pool that has been given up by then. */
export function isDriversFault(error: unknown): boolean {
  return (
    error instanceof TypeError &&
    /node_modules[/\\]postgres[/\\]/.test(error.stack ?? "") &&
    (error.stack ?? "").includes("nextWrite")
  );
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

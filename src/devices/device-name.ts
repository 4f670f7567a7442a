import { MatrixError } from "#src/kit/matrix-error.ts";

/** The longest name of a device, in code points. */
const MOST_NAME_LENGTH = 100;

/** The longest device ID, in bytes. The specification sets no limit; an index has one. */
const MOST_ID_BYTES = 512;

/** A name that a client gave a new device, cut to the length that one may have. */
export function shortened(displayName: string): string {
  return Array.from(displayName.toWellFormed().replaceAll("\0", ""))
    .slice(0, MOST_NAME_LENGTH)
    .join("");
}

/** @throws MatrixError M_INVALID_PARAM if a device may not be called so. */
export function requireName(displayName: string): void {
  if (Array.from(displayName).length > MOST_NAME_LENGTH || displayName.includes("\0")) {
    throw new MatrixError(
      "M_INVALID_PARAM",
      `A name of at most ${MOST_NAME_LENGTH} characters is needed`,
    );
  }
}

/** @throws MatrixError M_INVALID_PARAM if no device can have this ID. */
export function requireDeviceId(deviceId: string): void {
  const valid =
    deviceId !== "" &&
    deviceId !== "*" &&
    deviceId.isWellFormed() &&
    !deviceId.includes("\0") &&
    Buffer.byteLength(deviceId) <= MOST_ID_BYTES;
  if (!valid) throw new MatrixError("M_INVALID_PARAM", "Not a valid device ID");
}

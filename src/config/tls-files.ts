import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";

/**
 * What is wrong with the files that TLS needs: better said before anything has started. They are read again by
 * whoever needs them.
 *
 * @param settingAt what is set at a path
 * @returns one line for each fault, each beginning with where it is
 */
export function faultsOfTlsFiles(settingAt: (path: readonly string[]) => unknown): string[] {
  const faults: string[] = [];
  const read = (...path: string[]) => {
    const file = settingAt(path);
    // What is no text is the schema's to refuse.
    if (typeof file !== "string") return undefined;
    try {
      return readFileSync(file);
    } catch (error) {
      faults.push(`${path.join(".")}: ${messageOf(error)}`);
      return undefined;
    }
  };
  const authorities = read("federation", "caFile");
  if (authorities !== undefined && !holdsCertificate(authorities)) {
    faults.push("federation.caFile: holds no certificate in the form of PEM");
  }
  const cert = read("tlsListener", "certFile");
  const key = read("tlsListener", "keyFile");
  if (cert === undefined || key === undefined) return faults;
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const why = messageOf(error).replace(/^error:[0-9A-F]+:/, "");
    faults.push(`tlsListener: no TLS with certFile and keyFile: ${why}`);
  }
  return faults;
}

/** Node would pass over a file without one, and then believe nobody whom it should. */
function holdsCertificate(pem: Buffer): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

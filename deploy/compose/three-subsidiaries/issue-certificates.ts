import { X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { foundAuthority } from "#src/kit/private-authority.ts";

// node issue-certificates.ts DIRECTORY HOST…: for each host a directory with `cert.pem`, `key.pem`, and `ca.pem`, which is
// the same for all. What is there already and valid for a while yet is left as it is.

const LEFT_MS = 7 * 24 * 60 * 60 * 1000;

const [directory = "", ...hosts] = process.argv.slice(2);
if (directory === "" || hosts.length === 0) {
  process.stderr.write("Usage: issue-certificates.ts DIRECTORY HOST...\n");
  process.exit(64);
}
if (isInOrder()) process.stdout.write("All certificates are there.\n");
else issueAll();

/** Whether every host has a certificate of one and the same authority that is valid for long enough. */
function isInOrder(): boolean {
  try {
    const authorities = hosts.map((host) => readFileSync(join(directory, host, "ca.pem"), "utf8"));
    const authority = new X509Certificate(authorities[0] ?? "");
    return hosts.every((host, at) => {
      const certificate = new X509Certificate(readFileSync(join(directory, host, "cert.pem")));
      return (
        authorities[at] === authorities[0] &&
        certificate.checkHost(host) !== undefined &&
        certificate.verify(authority.publicKey) &&
        Date.parse(certificate.validTo) - Date.now() > LEFT_MS
      );
    });
  } catch {
    // What is not there, or is something else, is made anew.
    return false;
  }
}

function issueAll(): void {
  const authority = foundAuthority("Three subsidiaries");
  for (const host of hosts) {
    const { cert, key } = authority.issue(host);
    const own = join(directory, host);
    mkdirSync(own, { recursive: true });
    writeFileSync(join(own, "key.pem"), key, { mode: 0o600 });
    writeFileSync(join(own, "ca.pem"), authority.cert);
    // The last, by which it is seen whether all was made.
    writeFileSync(join(own, "cert.pem"), cert);
  }
  process.stdout.write(`Made certificates for ${hosts.join(", ")}.\n`);
}

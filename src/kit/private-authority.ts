import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIPv4 } from "node:net";

/** A certificate and its key, in PEM. */
export type Certificate = { readonly cert: string; readonly key: string };

/** An authority that is known to nobody but those who are given its certificate. */
export type PrivateAuthority = {
  /** Its own certificate, in PEM: whom to trust. */
  readonly cert: string;
  /** A certificate for host names and IPv4 addresses, valid for 30 days. */
  issue(...hosts: readonly string[]): Certificate;
};

/**
 * Founds an authority whose key nobody can get at, and which ends with this process: for servers on one machine, and
 * for tests.
 */
export function foundAuthority(name: string): PrivateAuthority {
  const { publicKey, privateKey } = newKey();
  const issuer = { name: `${name} ${randomBytes(4).toString("hex")}`, privateKey };
  const usage = extension("551d0f", der(0x03, Buffer.from([1, 6])));
  const extensions = [isAuthority(true), usage];
  return {
    cert: certificate(issuer, { name: issuer.name, publicKey, extensions }),
    issue(...hosts) {
      const own = newKey();
      const about = {
        name: hosts[0] ?? "",
        publicKey: own.publicKey,
        extensions: [isAuthority(false), alternativeNames(hosts)],
      };
      const key = own.privateKey.export({ type: "pkcs8", format: "pem" });
      return { cert: certificate(issuer, about), key };
    },
  };
}

function newKey() {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

// What follows is X.509 (RFC 5280) as far as this needs it, so that nobody needs a program.

const ECDSA_WITH_SHA256 = der(0x30, oid("2a8648ce3d040302"));
const DAY_MS = 86_400_000;

function certificate(
  issuer: { readonly name: string; readonly privateKey: KeyObject },
  about: { name: string; publicKey: KeyObject; extensions: readonly Buffer[] },
): string {
  const body = der(
    0x30,
    der(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_WITH_SHA256,
    commonName(issuer.name),
    der(0x30, time(Date.now() - DAY_MS), time(Date.now() + 30 * DAY_MS)),
    commonName(about.name),
    about.publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, der(0x30, ...about.extensions)),
  );
  const signature = sign("sha256", body, { key: issuer.privateKey, dsaEncoding: "der" });
  const whole = der(0x30, body, ECDSA_WITH_SHA256, der(0x03, Buffer.from([0]), signature));
  const lines = whole.toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  const size =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, "hex"));
}

function integer(bytes: Buffer): Buffer {
  return der(0x02, bytes);
}

function commonName(name: string): Buffer {
  const attribute = der(0x30, oid("550403"), der(0x0c, Buffer.from(name)));
  return der(0x30, der(0x31, attribute));
}

function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\D/g, "").slice(2, 14);
  return der(0x17, Buffer.from(`${digits}Z`));
}

function extension(id: string, value: Buffer): Buffer {
  return der(0x30, oid(id), der(0x04, value));
}

function isAuthority(is: boolean): Buffer {
  const constraints = is ? der(0x30, der(0x01, Buffer.from([0xff]))) : der(0x30);
  return extension("551d13", constraints);
}

function alternativeNames(hosts: readonly string[]): Buffer {
  const names = hosts.map((host) =>
    isIPv4(host)
      ? der(0x87, Buffer.from(host.split(".").map(Number)))
      : der(0x82, Buffer.from(host)),
  );
  return extension("551d11", der(0x30, ...names));
}

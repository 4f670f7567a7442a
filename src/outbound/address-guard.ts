import { BlockList, isIP } from "node:net";

/**
 * Ranges that are no place on the internet: this machine, private networks, and what is reserved.
 * From IANA's registries of special-purpose addresses.
 */
const CLOSED_V4 = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
];
const CLOSED_V6 = [
  // Unspecified, loopback, and the old way to write an IPv4 address.
  "::/96",
  "64:ff9b:1::/48",
  "100::/64",
  "2001::/23",
  "2001:db8::/32",
  // 6to4 leads to whatever IPv4 address is in it.
  "2002::/16",
  "3fff::/20",
  "5f00::/16",
  "fc00::/7",
  "fe80::/10",
  "fec0::/10",
  "ff00::/8",
];

/** Prefixes under which an IPv6 address stands for an IPv4 address: the mapped ones, and NAT64. */
const V4_WITHIN_V6 = ["::ffff:", "64:ff9b::"];

/** Whether an address may be connected to. */
export type AddressGuard = (address: string) => boolean;

/**
 * Makes the guard of all connections that we open: whoever can make us ask for a name of their choosing
 * must not reach what is behind our firewall by it.
 *
 * @param allowedRanges closed ranges (CIDR) that are open all the same.
 * @spec server-server-api#security-considerations
 */
export function addressGuard(allowedRanges: readonly string[]): AddressGuard {
  const closed = listOf([...CLOSED_V4, ...CLOSED_V6]);
  const allowed = listOf(allowedRanges);
  return (address) => {
    // Not the zone: `fe80::1%eth0`.
    const bare = address.replace(/%.*$/, "");
    const version = isIP(bare);
    if (version === 0) return false;
    const family = version === 4 ? "ipv4" : "ipv6";
    return allowed.check(bare, family) || !closed.check(bare, family);
  };
}

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = "", bits = ""] = range.split("/");
    if (isIP(address) === 6) list.addSubnet(address, Number(bits), "ipv6");
    else {
      list.addSubnet(address, Number(bits), "ipv4");
      for (const prefix of V4_WITHIN_V6) {
        list.addSubnet(`${prefix}${address}`, 96 + Number(bits), "ipv6");
      }
    }
  }
  return list;
}

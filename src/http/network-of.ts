import { isIPv6 } from "node:net";

/**
 * Whom an address stands for: of IPv6 the network, since whoever has one address has all 2⁶⁴ of it. Other
 * texts stand for themselves.
 */
export function networkOf(who: string): string {
  if (!isIPv6(who)) return who;
  const ipv4 = /^::ffff:(\d+(?:\.\d+){3})$/i.exec(who)?.[1];
  if (ipv4 !== undefined) return ipv4;
  const sides = who.toLowerCase().split("::");
  const [left = [], right = []] = sides.map((side) => (side === "" ? [] : side.split(":")));
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => "0");
  return `${[...left, ...zeros, ...right].slice(0, 4).join(":")}::/64`;
}

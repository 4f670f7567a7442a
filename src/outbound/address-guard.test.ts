import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addressGuard } from "./address-guard.ts";

const guard = addressGuard([]);

test.each([
  "0.0.0.0",
  "10.255.0.1",
  "100.64.0.1",
  "127.0.0.1",
  "127.8.8.8",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "198.18.0.1",
  "224.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::127.0.0.1",
  "::ffff:127.0.0.1",
  "::ffff:7f00:1",
  "64:ff9b::10.0.0.1",
  "64:ff9b:1::1",
  "2001::1",
  "2001:db8::1",
  "2002:7f00:1::",
  "fc00::1",
  "fd12:3456::1",
  "fe80::1",
  "fe80::1%eth0",
  "ff02::1",
])("does not let %s pass", (address) => {
  expect(guard(address)).toBe(false);
});

test.each([
  "1.1.1.1",
  "100.63.0.1",
  "172.32.0.1",
  "192.0.3.1",
  "2606:4700::1111",
  "64:ff9b::1.1.1.1",
])("lets %s pass", (address) => {
  expect(guard(address)).toBe(true);
});

test.each(["", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "[::1]"])(
  "does not let %j pass, which is no address",
  (text) => {
    expect(guard(text)).toBe(false);
  },
);

describe("ranges that are allowed", () => {
  test("are open, and their neighbours are not", () => {
    const allowing = addressGuard(["127.0.0.0/30", "fd00:1::/32"]);
    expect(["127.0.0.3", "::ffff:127.0.0.3", "fd00:1::9"].map(allowing)).toEqual([
      true,
      true,
      true,
    ]);
    expect(["127.0.0.4", "::ffff:127.0.0.4", "fd00:2::9"].map(allowing)).toEqual([
      false,
      false,
      false,
    ]);
  });
});

test("judges an IPv4 address alike however IPv6 writes it", () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      expect(guard(`::ffff:${address}`)).toBe(guard(address));
      expect(guard(`64:ff9b::${address}`)).toBe(guard(address));
    }),
  );
});

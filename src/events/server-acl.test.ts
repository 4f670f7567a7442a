import { describe, expect, test } from "vitest";
import { readServerAcl, serverIsAllowed } from "./server-acl.ts";

describe("a server access control list", () => {
  test.each([
    ["everybody", { allow: ["*"] }, "evil.com", true],
    ["nobody, if it allows none", {}, "evil.com", false],
    ["nobody, if what it allows is no list", { allow: "*" }, "evil.com", false],
    ["whom it does not deny", { allow: ["*"], deny: ["evil.com"] }, "good.com", true],
    ["not whom it denies", { allow: ["*"], deny: ["evil.com"] }, "evil.com", false],
    [
      "not whom it denies, on no port",
      { allow: ["*"], deny: ["evil.com"] },
      "evil.com:1234",
      false,
    ],
    ["not whom it denies, in no case", { allow: ["*"], deny: ["*.EVIL.com"] }, "A.eVil.Com", false],
    ["only whom it allows", { allow: ["*.good.com"] }, "good.com", false],
    ["by one character", { allow: ["goo?.com"] }, "good.com", true],
    ["what is odd in its lists aside", { allow: [7, null, "*"], deny: [{}] }, "good.com", true],
    ["addresses, unless it says no", { allow: ["*"] }, "1.2.3.4", true],
    ["addresses, whatever says no", { allow: ["*"], allow_ip_literals: 0 }, "1.2.3.4", true],
    ["no addresses, if it says so", { allow: ["*"], allow_ip_literals: false }, "1.2.3.4", false],
    ["none with a port", { allow: ["*"], allow_ip_literals: false }, "1.2.3.4:8448", false],
    ["none in brackets", { allow: ["*"], allow_ip_literals: false }, "[2001:db8::1]:8448", false],
    ["an address that it denies", { allow: ["*"], deny: ["[2001:*"] }, "[2001:db8::1]", false],
    [
      "names that are like addresses",
      { allow: ["*"], allow_ip_literals: false },
      "1.2.3.4.com",
      true,
    ],
  ] as const)("lets in %s", (_, content, server, allowed) => {
    expect(serverIsAllowed(readServerAcl(content as {}), server)).toBe(allowed);
  });
});

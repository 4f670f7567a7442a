import { expect, test } from "vitest";
import { driverAddress } from "./database-url.ts";

test("a unix socket is the directory in ?host=", () => {
  expect(driverAddress("postgres:///hs?host=/run/postgresql")).toEqual({
    url: "postgres://localhost/hs",
    host: "/run/postgresql",
  });
  expect(driverAddress("postgres://archipel@localhost/archipel?host=%2Ftmp%2Fx")).toEqual({
    url: "postgres://archipel@localhost/archipel",
    host: "/tmp/x",
  });
});

test("a URL with a host of its own is left as it is", () => {
  const url = "postgres://hs:pass%40word@db.example:5433/hs?sslmode=require";
  expect(driverAddress(url)).toEqual({ url });
});

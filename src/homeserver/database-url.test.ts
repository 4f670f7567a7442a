import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { driverAddress } from "./database-url.ts";

test.each([
  ["postgres:///hs?host=/run/postgresql", "postgres://localhost/hs", "/run/postgresql"],
  [
    "postgres://archipel@localhost/archipel?host=%2Ftmp%2Fx",
    "postgres://archipel@localhost/archipel",
    "/tmp/x",
  ],
  [
    "postgresql:///hs?host=/run&port=5433&user=me&password=a%26b&sslmode=disable",
    "postgresql://me:a&b@localhost:5433/hs?sslmode=disable",
    "/run",
  ],
  [
    "postgres://me:p%40ss@/hs?host=/cloudsql/a:b",
    "postgres://me:p%40ss@localhost/hs",
    "/cloudsql/a:b",
  ],
  [
    "postgres://me@%2Frun%2Fpostgresql:5433/hs",
    "postgres://me@localhost:5433/hs",
    "/run/postgresql",
  ],
  ["postgres://?host=/run&dbname=hs", "postgres://localhost/hs", "/run"],
  ["postgres://a.test:1/hs?host=db.test&port=2", "postgres://localhost:2/hs", "db.test"],
])("%s is read as libpq does", (databaseUrl, url, host) => {
  expect(driverAddress(databaseUrl)).toEqual({ url, host });
});

test("a URL with a host of its own is left as it is", () => {
  const url = "postgres://hs:pass%40word@db.example:5433/hs?sslmode=require";
  expect(driverAddress(url)).toEqual({ url });
});

test("the authorities that vouch for a database are read from a file, unless there is no TLS", () => {
  const directory = mkdtempSync(join(tmpdir(), "archipel-database-url-"));
  try {
    const file = join(directory, "ca.pem");
    writeFileSync(file, "the authorities");
    const url = "postgres://hs@db.example/hs?sslmode";
    expect(driverAddress(`${url}=verify-full&sslrootcert=${file}`)).toEqual({
      url: `${url}=verify-full`,
      ssl: { ca: "the authorities" },
    });
    expect(driverAddress(`${url}=disable&sslrootcert=${file}`)).toEqual({ url: `${url}=disable` });
    const system = `${url}=verify-full&sslrootcert=system`;
    expect(driverAddress(system)).toEqual({ url: system });
    expect(() => driverAddress(`${url}=require&sslrootcert=${file}s`)).toThrow("ENOENT");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("a database at an address has to have a certificate for that, where it needs one at all", () => {
  const url = "postgres://hs@127.0.0.1:5433/hs?sslmode";
  expect(driverAddress(`${url}=verify-full`)).toEqual({
    url: `${url}=verify-full`,
    ssl: { host: "127.0.0.1" },
  });
  const six = "postgres://hs@[::1]/hs?sslmode=verify-full";
  expect(driverAddress(six)).toEqual({ url: six, ssl: { host: "::1" } });
  expect(driverAddress(`${url}=require`)).toEqual({ url: `${url}=require` });
  expect(driverAddress("postgres://hs@127.0.0.1/hs")).toEqual({
    url: "postgres://hs@127.0.0.1/hs",
  });
});

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { ConfigFile } from "./config.ts";
import { configExample, configReference } from "./reference.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("the reference and the example are what the schema says (if not: npm run docs)", () => {
  expect(read("docs/operators/configuration.md")).toBe(configReference());
  expect(read("deploy/config.example.yaml")).toBe(configExample());
});

test("the example with its comments taken off is a configuration of defaults", () => {
  const text = configExample()
    .split("\n")
    .filter((line) => !/^#\s+# |^# \S/.test(line))
    .map((line) => line.replace(/^#/, ""))
    .join("\n");
  const { tlsListener, ...rest } = parse(text);
  expect(tlsListener).toMatchObject({ port: 8448, certFile: null });
  expect(ConfigFile.parse(rest)).toEqual(ConfigFile.parse({}));
});

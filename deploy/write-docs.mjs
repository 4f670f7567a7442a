// Writes what is generated of the documentation: `npm run docs`. With `--check`, only says what is not as it would be written.
import { readFileSync, writeFileSync } from "node:fs";
import { specSupport } from "../spec-tests/coverage/spec-support.ts";
import { configExample, configReference } from "../src/config/reference.ts";

const isCheck = process.argv[2] === "--check";

function write(path, text) {
  const url = new URL(`../${path}`, import.meta.url);
  if (!isCheck) return writeFileSync(url, text);
  if (readFileSync(url, "utf8") === text) return undefined;
  process.exitCode = 1;
  return process.stdout.write(`${path} is not what there is: npm run docs\n`);
}

write("docs/operators/configuration.md", configReference());
write("deploy/config.example.yaml", configExample());
write("docs/spec-support.md", specSupport());

// Writes what is generated of the documentation: `npm run docs`.
import { writeFileSync } from "node:fs";
import { specSupport } from "../spec-tests/coverage/spec-support.ts";
import { configExample, configReference } from "../src/config/reference.ts";

const write = (path, text) => writeFileSync(new URL(`../${path}`, import.meta.url), text);

write("docs/operators/configuration.md", configReference());
write("deploy/config.example.yaml", configExample());
write("docs/spec-support.md", specSupport());

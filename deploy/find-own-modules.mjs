// Loaded before the server by deploy/run.mjs: says where our modules and what they import are. Ours are named in full where
// they are imported, so there is nothing to look for; Node would look for a package.json for each of some five thousand
// imports, which takes a third of the time until a server is ready.
import { registerHooks } from "node:module";

const root = new URL("..", import.meta.url);
const format = "module-typescript";

/** Where packages are, and Node's own modules: for each of our modules at the same place. */
const packages = new Map();

registerHooks({
  resolve(specifier, context, next) {
    const isOurs = context.parentURL?.endsWith(".ts") && context.conditions.includes("import");
    if (!isOurs) return next(specifier, context);
    if (specifier.endsWith(".ts")) {
      const url = specifier.startsWith("#")
        ? new URL(specifier.slice(1), root)
        : new URL(specifier, context.parentURL);
      return { url: url.href, format, shortCircuit: true };
    }
    let found = packages.get(specifier);
    if (found === undefined) {
      found = { ...next(specifier, context), shortCircuit: true };
      packages.set(specifier, found);
    }
    return found;
  },
});

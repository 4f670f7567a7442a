// Reads what vitest has written of a run of tests.
//
//   node .ci/sums.mjs files FIRST.json           the files to be run again, a line each
//   node .ci/sums.mjs sums FIRST.json [SECOND.json]   what failed and why, and one line of sums
import { existsSync, readFileSync } from "node:fs";

/** Where more files than these have failed, it is not for the machine's sake. */
const MOST_AGAIN = 6;

const [what, first, second] = process.argv.slice(2);
const said = new Set();
const files = filesOf(first);
if (what === "files") {
  const failed = files.filter(hasFailed);
  if (failed.length <= MOST_AGAIN) for (const { name } of failed) say(name);
} else {
  const again = second !== undefined && existsSync(second) ? filesOf(second) : [];
  const sums = { passed: 0, failed: 0 };
  for (const file of files) {
    const fresh = hasFailed(file) ? again.find((it) => it.name === file.name) : undefined;
    // A file that could not even be read has no tests to count.
    if (isBroken(fresh ?? file)) sayOf("broken", file.name, file.message);
    const passedAfresh = new Set(fresh?.assertionResults.filter(isPassed).map((it) => it.fullName));
    for (const test of isBroken(file) && fresh ? fresh.assertionResults : file.assertionResults) {
      count(test, passedAfresh.has(test.fullName));
    }
    if (isBroken(fresh ?? file)) sums.failed += 1;
  }
  say(`${sums.passed} passed, ${sums.failed} failed`);

  function count(test, hasPassedAfresh) {
    // Of the first go: a second may fail of what the first left behind.
    const [why] = test.failureMessages;
    if (isPassed(test) || (test.status === "failed" && hasPassedAfresh)) {
      sums.passed += 1;
      // Each of them is a fault to be found, of ours or of the test.
      if (why !== undefined) sayOf("passed at a second go only", test.fullName, why);
    } else if (test.status === "failed") {
      sums.failed += 1;
      sayOf("FAILED", test.fullName, why);
    }
  }
}

function filesOf(path) {
  return JSON.parse(readFileSync(path, "utf8")).testResults;
}

function hasFailed(file) {
  return file.status === "failed";
}

function isBroken(file) {
  return hasFailed(file) && !file.assertionResults.some((it) => it.status === "failed");
}

function isPassed(test) {
  return test.status === "passed";
}

function sayOf(what, name, why = "") {
  const reason = why.slice(0, 600).replaceAll(/\s+/g, " ");
  // What keeps a whole file from being tested is said once of it.
  say(`${what}: ${name}${said.has(reason) ? "" : `: ${reason}`}`);
  said.add(reason);
}

function say(line) {
  process.stdout.write(`${line}\n`);
}

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import type { Reporter } from "vitest/node";
import { z } from "zod";

const Omission = z.object({ suite: z.string(), gets: z.string(), part: z.boolean() });

/**
 * Says at the end of a run which suites `lacks` of `needs.ts` left out, and what gets them.
 *
 * @param leftToCi those that are left out since they take long.
 */
export function omissionsReporter(leftToCi: readonly string[]): Reporter {
  let directory: string;
  let notes: string;
  return {
    onInit() {
      directory = mkdtempSync(join(tmpdir(), "archipel-omissions-"));
      notes = join(directory, "notes");
      writeFileSync(notes, "");
      // The processes that run tests inherit it.
      process.env["ARCHIPEL_TEST_OMISSIONS"] = notes;
    },
    onTestRunEnd() {
      const lines = readFileSync(notes, "utf8").split("\n").filter(Boolean);
      const omissions = lines.map((line) => Omission.parse(JSON.parse(line)));
      for (const gets of new Set(omissions.map((omission) => omission.gets))) {
        const suites = omissions.filter((omission) => omission.gets === gets);
        const names = [...new Set(suites.map(({ suite }) => relative(process.cwd(), suite)))];
        const how = omissions.some((it) => it.gets === gets && it.part)
          ? "Left out in part"
          : "Left out";
        process.stdout.write(`\n${how}: ${names.join(", ")}\n  To run it, get ${gets}.\n`);
      }
      if (leftToCi.length > 0) {
        process.stdout.write(`\nLeft to CI, since they take long: ${leftToCi.join(", ")}\n`);
        process.stdout.write(
          "  To run them, name them: npm test -- spec-tests. CI=true runs all.\n",
        );
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

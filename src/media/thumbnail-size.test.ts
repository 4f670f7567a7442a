import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OWN_SIZE, roundUp, type ThumbnailMethod, thumbnailSize } from "./thumbnail-size.ts";

const side = fc.integer({ min: 1, max: 5000 });
const size = fc.record({ width: side, height: side });
const method = fc.constantFrom<ThumbnailMethod>("crop", "scale");

describe("roundUp", () => {
  test.each([
    ["crop", [32, 32], [32, 32]],
    ["crop", [96, 96], [96, 96]],
    ["scale", [320, 240], [320, 240]],
    ["scale", [640, 480], [640, 480]],
    ["scale", [800, 600], [800, 600]],
    ["scale", [1, 1], [320, 240]],
    ["crop", [50, 50], [96, 96]],
    ["crop", [800, 600], [1024, 768]],
    ["crop", [1025, 2], [0, 0]],
    ["scale", [2000, 10], [0, 0]],
  ] as const)("%s of %j is %j", (how, [width, height], expected) => {
    const rounded = roundUp({ width, height }, how);
    expect([rounded.width, rounded.height]).toEqual(expected);
  });

  test("never gives less than was asked for", () => {
    fc.assert(
      fc.property(size, method, (asked, how) => {
        const rounded = roundUp(asked, how);
        if (rounded === OWN_SIZE) return;
        expect(rounded.width).toBeGreaterThanOrEqual(asked.width);
        expect(rounded.height).toBeGreaterThanOrEqual(asked.height);
      }),
    );
  });
});

describe("thumbnailSize", () => {
  test("never makes a picture larger", () => {
    fc.assert(
      fc.property(size, size, method, (picture, wanted, how) => {
        const made = thumbnailSize(picture, wanted, how) ?? picture;
        expect(made.width).toBeLessThanOrEqual(picture.width);
        expect(made.height).toBeLessThanOrEqual(picture.height);
      }),
    );
  });

  test("gives a crop the size that is wanted wherever the picture has it", () => {
    fc.assert(
      fc.property(size, size, (picture, wanted) => {
        fc.pre(picture.width >= wanted.width && picture.height >= wanted.height);
        expect(thumbnailSize(picture, wanted, "crop") ?? picture).toEqual(wanted);
      }),
    );
  });

  test.each([
    ["scale", [2000, 1000], { width: 640, height: 480 }, { width: 640, height: 320 }],
    ["scale", [10_000, 1], { width: 320, height: 240 }, { width: 320, height: 1 }],
    ["crop", [2000, 50], { width: 96, height: 96 }, { width: 50, height: 50 }],
    ["crop", [30, 20], { width: 96, height: 96 }, undefined],
    ["scale", [640, 480], { width: 640, height: 480 }, undefined],
    ["scale", [4000, 3000], OWN_SIZE, undefined],
  ] as const)("%s of a picture of %j", (how, [width, height], wanted, expected) => {
    expect(thumbnailSize({ width, height }, wanted, how)).toEqual(expected);
  });
});

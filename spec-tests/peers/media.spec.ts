import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { lacksPair, sharedPair } from "./pair.ts";
import { type Person, personAt, WITH_TIME } from "./person.ts";

describe.skipIf(await lacksPair()).each(["ours", "synapse"] as const)(
  "a file of a user of %s",
  (there) => {
    let owner: Person;
    let guest: Person;

    beforeAll(async () => {
      const pair = await sharedPair();
      [owner, guest] = await Promise.all([
        personAt(pair[there], "owner"),
        personAt(pair[there === "ours" ? "synapse" : "ours"], "guest"),
      ]);
    }, WITH_TIME);

    const ask = async ({ home, accessToken }: Person, path: string, init: RequestInit = {}) => {
      const headers = new Headers(init.headers);
      headers.set("authorization", `Bearer ${accessToken}`);
      return await fetch(home.url + path, { ...init, headers });
    };
    const upload = async (bytes: Uint8Array<ArrayBuffer>, type: string, name: string) => {
      const answer = await ask(owner, `/_matrix/media/v3/upload?filename=${name}`, {
        method: "POST",
        headers: { "content-type": type },
        body: bytes,
      });
      const { content_uri } = (await answer.json()) as { content_uri: string };
      return content_uri.slice("mxc://".length);
    };
    const bytesOf = async (answer: Response) => Buffer.from(await answer.arrayBuffer());

    test("is had from over there as it is", async () => {
      const file = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
      const id = await upload(file, "application/pdf", "chart.pdf");
      const answer = await ask(guest, `/_matrix/client/v1/media/download/${id}`);
      expect(answer.status).toBe(200);
      expect(answer.headers.get("content-type")).toBe("application/pdf");
      expect(answer.headers.get("content-disposition")).toContain("chart.pdf");
      expect((await bytesOf(answer)).equals(file)).toBe(true);
    });

    test("has thumbnails over there", async () => {
      const background = { r: 200, g: 30, b: 30 };
      const picture = sharp({ create: { width: 640, height: 480, channels: 3, background } });
      const id = await upload(
        new Uint8Array(await picture.png().toBuffer()),
        "image/png",
        "sea.png",
      );
      const query = "width=96&height=96&method=crop";
      const answer = await ask(guest, `/_matrix/client/v1/media/thumbnail/${id}?${query}`);
      expect(answer.status).toBe(200);
      const { width, height } = await sharp(await bytesOf(answer)).metadata();
      expect([width, height]).toEqual([96, 96]);
    });

    test("is not had if it is not there", async () => {
      const path = `/_matrix/client/v1/media/download/${owner.home.serverName}/nothing`;
      const answer = await ask(guest, path);
      expect(answer.status).toBe(404);
      expect(((await answer.json()) as { errcode: string }).errcode).toBe("M_NOT_FOUND");
    });
  },
);

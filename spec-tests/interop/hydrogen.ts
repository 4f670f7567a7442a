import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import type { HomeserverUnderTest } from "../homeserver-under-test.ts";
import { findChromium } from "../needs.ts";
import { PASSWORD, type TestUser } from "../test-user.ts";

const PAGE = fileURLToPath(new URL("hydrogen-page.html", import.meta.url));
const MODULES = fileURLToPath(new URL("../../node_modules", import.meta.url));

/** How long anything in the browser may take. */
const PATIENCE_MS = 20_000;

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/** Hydrogen in a page of a browser. */
export type Hydrogen = {
  readonly page: Page;
  logIn(homeserver: HomeserverUnderTest, user: TestUser): Promise<HydrogenSession>;
  /** Loads the page anew: Hydrogen goes on with the session it has kept. */
  reload(): Promise<HydrogenSession>;
  /** Accepts an invite once it has come. @returns when the room has come as well */
  join(roomId: string): Promise<void>;
  isEncrypted(roomId: string): Promise<boolean>;
  /** Shows a room, with its timeline and a field to write in. */
  show(roomId: string): Promise<void>;
  /** The texts of the messages in the room that is shown. */
  texts(): Promise<string[]>;
  /** Writes a message in the field, and presses Enter. */
  write(text: string): Promise<void>;
  dispose(): Promise<void>;
};

export type HydrogenSession = { readonly userId: string; readonly deviceId: string };

/** Starts a browser with a profile of its own, and in it Hydrogen, which nobody is logged in to yet. */
export async function startHydrogen(): Promise<Hydrogen> {
  const pages = await servePages();
  const profile = mkdtempSync(join(tmpdir(), "archipel-chromium-"));
  let browser: BrowserContext | undefined;
  const dispose = async () => {
    await browser?.close();
    await pages.stop();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    browser = await launch(profile);
    const page = browser.pages()[0] ?? (await browser.newPage());
    page.setDefaultTimeout(PATIENCE_MS);
    await open(page, pages.url);
    return { ...actions(page, pages.url), dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function launch(profile: string): Promise<BrowserContext> {
  return await chromium.launchPersistentContext(profile, {
    executablePath: findChromium() ?? "chromium",
    headless: true,
    timeout: PATIENCE_MS,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

async function open(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.waitForFunction("window.hydrogen !== undefined");
}

function actions(page: Page, url: string): Omit<Hydrogen, "dispose"> {
  /** Calls what the page offers, and ends the wait for it when it takes too long. */
  const call = async <T>(name: string, ...parameters: readonly string[]): Promise<T> => {
    const list = parameters.map((it) => JSON.stringify(it)).join(", ");
    const late = `new Promise((_, fail) => setTimeout(() => fail(new Error("${name} takes too long")), ${PATIENCE_MS}))`;
    try {
      return await page.evaluate<T>(`Promise.race([hydrogen.${name}(${list}), ${late}])`);
    } catch (error) {
      // Its stack is of places in the page, which nobody here can look up.
      throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const wait = async (name: string, roomId: string) =>
    await page.waitForFunction(`hydrogen.${name}(${JSON.stringify(roomId)})`);
  return {
    page,
    logIn: async (homeserver, user) =>
      await call("logIn", homeserver.url, user.localpart, PASSWORD),
    async reload() {
      await open(page, url);
      return await call("resume");
    },
    async join(roomId) {
      await wait("isInvitedTo", roomId);
      await call("accept", roomId);
      await wait("isIn", roomId);
    },
    isEncrypted: async (roomId) => await call("isEncrypted", roomId),
    show: async (roomId) => await call("show", roomId),
    texts: async () => await call("texts"),
    async write(text) {
      const field = page.locator(".MessageComposer_input textarea");
      await field.fill(text);
      await field.press("Enter");
    },
  };
}

/**
 * Serves the page on localhost, with the packages that it loads. Those under `/commonjs` are made into modules that
 * a browser can load.
 */
async function servePages(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://localhost").pathname);
    contentOf(path).then(
      ({ file, content }) => {
        const type = CONTENT_TYPES[extname(file)] ?? "application/octet-stream";
        response.writeHead(200, { "content-type": type }).end(content);
      },
      () => response.writeHead(404).end(),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/`,
    async stop() {
      server.close();
      server.closeAllConnections();
      await Promise.resolve();
    },
  };
}

async function contentOf(path: string): Promise<{ file: string; content: string | Buffer }> {
  const [, kind, ...rest] = path.split("/");
  const file = filePath(kind ?? "", rest.join("/"));
  if (kind !== "commonjs") return { file, content: await readFile(file) };
  const source = await readFile(file, "utf8");
  const content = `const module = { exports: {} };\n(function (exports) {\n${source}\n})(module.exports);\nexport default module.exports;\n`;
  return { file, content };
}

function filePath(kind: string, rest: string): string {
  // Once its service worker has taken over, the page is asked for by its other name.
  if (kind === "" || kind === "index.html") return PAGE;
  // It has to lie beside the page to have a say in it.
  if (kind === "sw.js") return join(MODULES, "hydrogen-view-sdk/lib-build/sw.js");
  return join(MODULES, rest);
}

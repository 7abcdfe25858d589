// Runs the checks of `pages.mjs` and `api.mjs` in one headless Chromium.
//
// Prints one line a check, `ok NAME` or `FAILED NAME: why`, then a line for each part with how many
// passed and failed, and exits with 1 if any failed. `run` beside this file installs what it needs.

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { chromium } from "playwright-core";

import { apiChecks } from "./api.mjs";
import { pageChecks } from "./pages.mjs";
import { Example } from "./support.mjs";

const CHECK_MS = 60_000;
const WAIT_MS = 15_000;

const { values: options } = parseArgs({
  options: {
    chromium: { type: "string" },
    examples: { type: "string" },
    screenshots: { type: "string" },
    only: { type: "string", default: "" },
    list: { type: "boolean", default: false },
  },
});

const parts = { "javascript api": apiChecks, pages: pageChecks };
if (options.list) {
  for (const checks of Object.values(parts)) console.log(Object.keys(checks).join("\n"));
  process.exit(0);
}

if (options.only === "") rmSync(options.screenshots, { recursive: true, force: true });
mkdirSync(options.screenshots, { recursive: true });

const browser = await chromium.launch({
  executablePath: options.chromium,
  // The sandbox needs a user that is not root; and nobody is to be called but our servers.
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

/** What a check works with, and cleans up after it. */
class Stage {
  #examples = [];
  #contexts = [];
  #complaints = [];

  /** Starts an example that listens on a port of its own. */
  async start(name, ...args) {
    const example = new Example(join(options.examples, name), args);
    this.#examples.push(example);
    await example.listening;
    return example;
  }

  /** Opens a window of somebody who shares no cookies and no storage with the others. */
  async window({ dark = false, phone = false } = {}) {
    const context = await browser.newContext({
      colorScheme: dark ? "dark" : "light",
      viewport: phone ? { width: 390, height: 780 } : { width: 1000, height: 700 },
      deviceScaleFactor: phone ? 2 : 1,
      hasTouch: phone,
    });
    context.setDefaultTimeout(WAIT_MS);
    this.#contexts.push(context);
    const page = await context.newPage();
    page.on("pageerror", (error) => this.#complaints.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" && !isExpected(message)) this.#complaints.push(message.text());
    });
    page.on("dialog", (dialog) => {
      this.#complaints.push(`a dialog opened: ${dialog.message()}`);
      dialog.dismiss();
    });
    return page;
  }

  async screenshot(page, name) {
    await page.screenshot({ path: join(options.screenshots, `${name}.png`) });
  }

  async clear() {
    await Promise.all(this.#contexts.map((context) => context.close()));
    await Promise.all(this.#examples.map((example) => example.kill()));
    if (this.#complaints.length > 0) throw new Error(`the page complained: ${this.#complaints.join("; ")}`);
  }
}

/** Whether the browser complains of what a check does on purpose, or of what the page has no say in. */
function isExpected(message) {
  return (
    message.text().includes("WebSocket connection to") ||
    message.text().includes("WebSocket is already in CLOSING or CLOSED state") ||
    message.location().url.endsWith("/favicon.ico")
  );
}

async function passes(name, check) {
  const stage = new Stage();
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(reject, CHECK_MS, new Error(`not done after ${CHECK_MS} ms`));
  });
  try {
    try {
      await Promise.race([check(stage), deadline]);
    } finally {
      clearTimeout(timer);
      await stage.clear();
    }
  } catch (error) {
    console.log(`FAILED ${name}: ${error.stack}`);
    return false;
  }
  console.log(`ok ${name}`);
  return true;
}

let failures = 0;
for (const [part, checks] of Object.entries(parts)) {
  const chosen = Object.entries(checks).filter(([name]) => name.includes(options.only));
  let failed = 0;
  for (const [name, check] of chosen) {
    if (!(await passes(name, check))) failed++;
  }
  console.log(`chromium against the examples, ${part}: ${chosen.length - failed} passed, ${failed} failed`);
  failures += failed;
}
await browser.close();
process.exit(failures > 0 ? 1 : 0);

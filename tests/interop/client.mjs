// Checks of an echo server with the clients of Node: `ws`, or Node's own.
//
// Prints one line a check, `ok NAME`, `skipped NAME: why` where the client cannot do it, or `FAILED
// NAME: why`, then `N passed, N failed, N skipped`, and exits with 1 if any failed. `client.py` has
// the same checks, by the same names, with the clients of Python.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

import * as builtin from "./client_builtin.mjs";

const MIB = 1024 * 1024;
const CHECK_MS = 60_000;
const GOING_AWAY_MS = 120_000;
const MULTI_BYTE = "Grüße, привет, こんにちは";
const EMOJI = "👋🏽 from a 👩‍👩‍👧‍👧 with 🏳️‍🌈";

const USAGE = `usage: client.mjs [OPTION…] [--only NAME,…] [--skip NAME,…] URL
       client.mjs [OPTION…] --await-going-away URL
       client.mjs [OPTION…] --deflate URL
       client.mjs --list
       client.mjs --client builtin --version

OPTION is --client ws (the default) or builtin, --ca FILE (for builtin it is NODE_EXTRA_CA_CERTS
that names the file), or --max-message BYTES.`;

let options;
let positionals;
try {
  ({ values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      client: { type: "string", default: "ws" },
      version: { type: "boolean", default: false },
      "max-message": { type: "string", default: String(16 * MIB) },
      only: { type: "string" },
      skip: { type: "string", default: "" },
      list: { type: "boolean", default: false },
      "await-going-away": { type: "boolean", default: false },
      deflate: { type: "boolean", default: false },
      ca: { type: "string" },
    },
  }));
} catch (error) {
  usage(error.message);
}
const { client } = options;
if (client !== "ws" && client !== "builtin") usage(`no such client: ${client}`);
if (options.version) {
  console.log(builtin.version);
  process.exit(0);
}
// `import` looks for packages beside this file alone, `require` also where NODE_PATH says.
const { WebSocket } = client === "ws" ? createRequire(import.meta.url)("ws") : builtin;

const url = positionals[0];
const maxMessage = Number(options["max-message"]);
/** Whom to trust for a `wss:` URL. */
const trust = options.ca === undefined ? {} : { ca: readFileSync(options.ca) };

/** One connection, with what arrives as promises. */
class Connection {
  #messages = [];
  #receivers = [];

  static async open(clientOptions = {}) {
    const connection = new Connection(clientOptions);
    await connection.opened;
    return connection;
  }

  constructor(clientOptions) {
    this.ws = new WebSocket(url, { perMessageDeflate: false, ...trust, ...clientOptions });
    this.ws.on("message", (data, isBinary) => {
      const message = isBinary ? data : data.toString();
      const receiver = this.#receivers.shift();
      if (receiver) receiver.resolve(message);
      else this.#messages.push(message);
    });
    this.ended = new Promise((resolve) => {
      this.ws.on("close", (code, reason) => {
        for (const { reject } of this.#receivers) {
          reject(new Error(`closed with ${code} ${reason} while a message was awaited`));
        }
        resolve({ code, reason: reason.toString() });
      });
    });
    this.opened = new Promise((resolve, reject) => {
      this.ws.on("open", resolve);
      // Once it is open an error is followed by `close`, whose code the checks judge.
      this.ws.on("error", reject);
    });
  }

  receive() {
    if (this.#messages.length > 0) return Promise.resolve(this.#messages.shift());
    if (this.ws.readyState === WebSocket.CLOSED) return Promise.reject(new Error("closed"));
    return new Promise((resolve, reject) => this.#receivers.push({ resolve, reject }));
  }

  async expectEcho(message) {
    this.ws.send(message);
    expect("echo", await this.receive(), message);
  }

  async expectPong(payload) {
    this.ws.ping(payload);
    const pong = new Promise((resolve) => this.ws.once("pong", resolve));
    const end = this.ended.then(({ code }) => Promise.reject(new Error(`closed with ${code}`)));
    expect("pong", await Promise.race([pong, end]), Buffer.from(payload));
    // The race is over; the end that comes later is nobody's failure.
    end.catch(() => {});
  }

  /** Expects the server's Close to carry `code`. */
  async expectEnd(code) {
    expect("close code", (await this.ended).code, code);
  }

  async close() {
    this.ws.close(1000);
    await this.expectEnd(1000);
  }
}

function expect(what, got, wanted) {
  const same = Buffer.isBuffer(wanted)
    ? Buffer.isBuffer(got) && got.equals(wanted)
    : got === wanted;
  if (!same) throw new Error(`${what}: got ${brief(got)}, wanted ${brief(wanted)}`);
}

function brief(value) {
  const text = Buffer.isBuffer(value)
    ? `bytes ${value.subarray(0, 30).toString("hex")}`
    : String(JSON.stringify(value));
  return text.length <= 80 ? text : `${text.slice(0, 60)}… (${value.length} long)`;
}

/** Bytes in which any lost, repeated or wrongly unmasked part shows. */
function pattern(size) {
  return Buffer.alloc(size, Buffer.from(Array.from({ length: 251 }, (_, i) => (i * 31) % 251)));
}

/** Sends `parts` as the fragments of one message. */
function sendFragments(ws, parts, binary) {
  parts.forEach((part, i) => ws.send(part, { binary, fin: i === parts.length - 1 }));
}

async function echoes(message) {
  const connection = await Connection.open();
  await connection.expectEcho(message);
  await connection.close();
}

async function pongs(payload) {
  const connection = await Connection.open();
  await connection.expectPong(payload);
  await connection.close();
}

async function answersClose(code, reason) {
  const connection = await Connection.open();
  await connection.expectEcho("open");
  connection.ws.close(code, reason);
  const end = await connection.ended;
  expect("close code", end.code, code);
  // 5.5.1 lets the answer repeat the code; of the reason it says nothing.
  if (end.reason !== "" && end.reason !== reason) {
    throw new Error(`close reason: got ${brief(end.reason)}`);
  }
}

const binarySizes = [0, 1, 125, 126, 127, 65535, 65536, MIB];

const checks = {
  ascii_text_comes_back: () => echoes("hello"),
  multi_byte_text_comes_back: () => echoes(MULTI_BYTE),
  emoji_come_back: () => echoes(EMOJI),
  an_empty_text_comes_back: () => echoes(""),

  // Around the borders between the three encodings of a payload length, and at the limit.
  ...Object.fromEntries(
    binarySizes.map((size) => [`binary_of_${size}_bytes_comes_back`, () => echoes(pattern(size))]),
  ),
  binary_at_the_limit_comes_back: () => echoes(pattern(maxMessage)),

  async text_split_inside_characters_comes_back() {
    const text = MULTI_BYTE + EMOJI;
    const connection = await Connection.open();
    sendFragments(connection.ws, [...Buffer.from(text)].map((byte) => Buffer.of(byte)), false);
    expect("echo", await connection.receive(), text);
    await connection.close();
  },

  async fragmented_binary_comes_back() {
    const data = pattern(300_000);
    const connection = await Connection.open();
    // Fragments of all three length encodings, and empty ones.
    const cuts = [0, 0, 100, 1000, 1000, 200_000, data.length];
    const parts = cuts.slice(1).map((end, i) => data.subarray(cuts[i], end));
    sendFragments(connection.ws, parts, true);
    expect("echo", await connection.receive(), data);
    await connection.close();
  },

  async a_thousand_pipelined_messages_come_back_in_order() {
    const connection = await Connection.open();
    for (let i = 0; i < 1000; i++) connection.ws.send(`message ${i}`);
    for (let i = 0; i < 1000; i++) expect("echo", await connection.receive(), `message ${i}`);
    await connection.close();
  },

  the_pong_repeats_the_ping_payload: () => pongs("are you there"),
  an_empty_ping_gets_an_empty_pong: () => pongs(""),
  a_ping_of_125_bytes_gets_its_pong: () => pongs("p".repeat(125)),

  async a_ping_inside_a_fragmented_message_gets_its_pong() {
    const connection = await Connection.open();
    connection.ws.send("before", { fin: false });
    // The rest of the message waits for the pong, so the server cannot wait for the rest.
    await connection.expectPong("in between");
    connection.ws.send(" and after", { fin: true });
    expect("echo", await connection.receive(), "before and after");
    await connection.close();
  },

  async an_unsolicited_pong_is_ignored() {
    const connection = await Connection.open();
    connection.ws.pong("nobody asked");
    await connection.expectEcho("still there");
    await connection.close();
  },

  a_close_with_1000_and_a_reason_is_answered: () => answersClose(1000, "all done, tschüß"),
  a_close_with_3000_is_answered: () => answersClose(3000, ""),
  a_close_with_4999_is_answered: () => answersClose(4999, "r".repeat(123)),

  async a_close_without_a_code_is_answered_without_one() {
    const connection = await Connection.open();
    connection.ws.close();
    await connection.expectEnd(1005);
  },

  async a_message_over_the_limit_closes_with_1009() {
    const connection = await Connection.open();
    connection.ws.send(pattern(maxMessage + 1));
    await connection.expectEnd(1009);
  },

  async fragments_over_the_limit_close_with_1009() {
    const connection = await Connection.open();
    const half = Math.floor(maxMessage / 2);
    const parts = [pattern(half), pattern(maxMessage - half), Buffer.from("!")];
    sendFragments(connection.ws, parts, true);
    await connection.expectEnd(1009);
  },

  async text_that_is_not_utf8_closes_with_1007() {
    const connection = await Connection.open();
    connection.ws.send(Buffer.from("caf\xe9 au lait", "latin1"), { binary: false });
    await connection.expectEnd(1007);
  },

  async text_that_ends_inside_a_character_closes_with_1007() {
    const connection = await Connection.open();
    sendFragments(connection.ws, [Buffer.from("caf\xc3", "latin1"), Buffer.alloc(0)], false);
    await connection.expectEnd(1007);
  },

  async plain_http_gets_426() {
    const response = await new Promise((resolve, reject) => {
      const { get } = url.startsWith("wss:") ? https : http;
      const options = { agent: false, ...trust };
      get(url.replace(/^ws/, "http"), options, resolve).on("error", reject);
    });
    response.resume();
    expect("status", response.statusCode, 426);
    expect("Upgrade", response.headers.upgrade?.toLowerCase(), "websocket");
    const { connection = "" } = response.headers;
    expect("`close` in Connection", connection.toLowerCase().includes("close"), true);
  },

  async version_8_gets_426_and_the_version_to_use() {
    const ws = new WebSocket(url, { protocolVersion: 8, ...trust });
    const response = await new Promise((resolve, reject) => {
      ws.on("unexpected-response", (_, response) => resolve(response));
      ws.on("open", () => reject(new Error("the server accepted version 8")));
      ws.on("error", reject);
    });
    response.resume();
    ws.terminate();
    expect("status", response.statusCode, 426);
    expect("Sec-WebSocket-Version", response.headers["sec-websocket-version"], "13");
  },

  async twenty_connections_at_once_all_get_their_echoes() {
    const converse = async (number) => {
      const connection = await Connection.open();
      for (let i = 0; i < 50; i++) {
        await connection.expectEcho(`connection ${number}, message ${i}`);
        await connection.expectEcho(pattern(number * 100 + i));
      }
      await connection.close();
    };
    await Promise.all(Array.from({ length: 20 }, (_, number) => converse(number)));
  },

  async a_compression_offer_is_declined() {
    const connection = await Connection.open({ perMessageDeflate: true });
    expect("extensions", connection.ws.extensions, "");
    await connection.expectEcho("compressible ".repeat(1000));
    await connection.close();
  },

  async a_subprotocol_offer_is_declined() {
    // Offered as subprotocols they would have to be taken: the library fails the connection if
    // the server takes none, which section 4.1 leaves to the client.
    const headers = { "Sec-WebSocket-Protocol": "chat.v2, chat.v1" };
    const connection = await Connection.open({ headers });
    expect("subprotocol", connection.ws.protocol, "");
    await connection.expectEcho("hello");
    await connection.close();
  },
};

// What the client offers, by name: the server must agree, and compress accordingly.
const deflateOffers = {
  by_default: {},
  without_server_context_takeover: { serverNoContextTakeover: true },
  without_client_context_takeover: { clientNoContextTakeover: true },
  without_any_context_takeover: { serverNoContextTakeover: true, clientNoContextTakeover: true },
  with_a_small_server_window: { serverMaxWindowBits: 9 },
  with_a_small_client_window: { clientMaxWindowBits: 9 },
  with_small_windows: { serverMaxWindowBits: 10, clientMaxWindowBits: 12 },
};

/** The checks of a server that compresses. */
const deflateChecks = {};
for (const [name, offer] of Object.entries(deflateOffers)) {
  deflateChecks[`messages_are_echoed_${name}`] = async () => {
    const connection = await Connection.open({ perMessageDeflate: { threshold: 0, ...offer } });
    expect("extensions", connection.ws.extensions, "permessage-deflate");
    for (let round = 0; round < 3; round++) {
      for (const text of ["", "short", `compressible ${round} `.repeat(1000), MULTI_BYTE.repeat(100)]) {
        await connection.expectEcho(text);
      }
      await connection.expectEcho(pattern(70_000 + round));
      await connection.expectEcho(randomBytes(20_000));
    }
    await connection.close();
  };
}
deflateChecks.a_bomb_closes_with_1009 = async () => {
  const connection = await Connection.open({ perMessageDeflate: { threshold: 0 } });
  connection.ws.send(Buffer.alloc(maxMessage + 1));
  await connection.expectEnd(1009);
};

async function awaitGoingAway() {
  const connection = await Connection.open();
  await connection.expectEcho("open");
  console.log("connected");
  await connection.expectEnd(1001);
}

/** Runs a check, says how it went, and returns the first word of that. */
async function outcome(name, check, milliseconds) {
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(reject, milliseconds, new Error(`not done after ${milliseconds} ms`));
  });
  try {
    await Promise.race([check(), deadline]);
  } catch (error) {
    const word = error instanceof builtin.Unable ? "skipped" : "FAILED";
    console.log(`${word} ${name}: ${error.message}`);
    return word;
  } finally {
    clearTimeout(timer);
  }
  console.log(`ok ${name}`);
  return "ok";
}

function usage(complaint) {
  console.error(`${complaint}\n${USAGE}`);
  process.exit(2);
}

function chosen(value) {
  const names = value.split(",").filter((name) => name !== "");
  const unknown = names.filter((name) => !Object.hasOwn(checks, name));
  if (unknown.length > 0) usage(`no such check: ${unknown.join(", ")}`);
  return names;
}

if (options.list) {
  console.log(Object.keys(checks).join("\n"));
  process.exit(0);
}
const only = options.only === undefined ? Object.keys(checks) : chosen(options.only);
const skip = chosen(options.skip);
if (url === undefined) usage("the server's URL is missing");

if (options["await-going-away"]) {
  const name = "a_stopping_server_closes_with_1001";
  process.exit((await outcome(name, awaitGoingAway, GOING_AWAY_MS)) === "ok" ? 0 : 1);
}
const all = Object.entries(options.deflate ? deflateChecks : checks);
const wanted = all.filter(
  ([name]) => options.deflate || (only.includes(name) && !skip.includes(name)),
);
const count = { ok: 0, FAILED: 0, skipped: all.length - wanted.length };
for (const [name, check] of wanted) count[await outcome(name, check, CHECK_MS)]++;
console.log(`${count.ok} passed, ${count.FAILED} failed, ${count.skipped} skipped`);
// A failed check may leave a connection open, which would keep the process.
process.exit(count.FAILED > 0 ? 1 : 0);

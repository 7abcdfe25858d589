// The WebSocket API of JavaScript, as the browser has it, against `echo_server`.
//
// Each check runs with each adapter, plain and compressed. What runs in the page is in `inPage`.

import { expect } from "./support.mjs";

const MAX_MESSAGE = 1 << 20;

/** Gives the page a client whose events are promises. */
function inPage() {
  globalThis.Client = class {
    #messages = [];
    #waiting = [];

    constructor(url, protocols = []) {
      this.states = [];
      this.ws = new WebSocket(url, protocols);
      this.note();
      this.opened = new Promise((resolve) => (this.ws.onopen = resolve)).then(() => this.note());
      this.ended = new Promise((resolve) => (this.ws.onclose = resolve)).then((event) => {
        this.note();
        return { code: event.code, reason: event.reason, wasClean: event.wasClean };
      });
      this.ws.onmessage = ({ data }) => {
        const waiting = this.#waiting.shift();
        if (waiting) waiting(data);
        else this.#messages.push(data);
      };
    }

    note() {
      this.states.push(this.ws.readyState);
    }

    message() {
      if (this.#messages.length > 0) return Promise.resolve(this.#messages.shift());
      return new Promise((resolve) => this.#waiting.push(resolve));
    }
  };
  // In which any part that is lost, repeated or wrongly masked shows, and which compresses a little.
  globalThis.pattern = (length) => Uint8Array.from({ length }, (_, i) => (i * 31) % 251);
  globalThis.isPattern = (bytes, length) =>
    bytes.length === length && bytes.every((byte, i) => byte === (i * 31) % 251);
}

const checks = {
  async ready_state_goes_through_its_four_values(page, url) {
    const seen = await page.evaluate(async (url) => {
      const client = new Client(url);
      await client.opened;
      client.ws.close();
      client.note();
      await client.ended;
      const { CONNECTING, OPEN, CLOSING, CLOSED } = WebSocket;
      return [client.states, [CONNECTING, OPEN, CLOSING, CLOSED]];
    }, url);
    expect("states", seen, [[0, 1, 2, 3], [0, 1, 2, 3]]);
  },

  async strings_come_back(page, url) {
    const wrong = await page.evaluate(async (url) => {
      const client = new Client(url);
      await client.opened;
      const texts = ["", "hello", "Grüße, привет, こんにちは", "👩‍👩‍👧‍👧 🏳️‍🌈", "\0\ufeff", "€".repeat(300_000)];
      for (const text of texts) client.ws.send(text);
      const wrong = [];
      for (const text of texts) if ((await client.message()) !== text) wrong.push(text.slice(0, 20));
      client.ws.send("a lone \ud83d is replaced");
      if ((await client.message()) !== "a lone \ufffd is replaced") wrong.push("a lone surrogate");
      return wrong;
    }, url);
    expect("wrong texts", wrong, []);
  },

  async blobs_come_back(page, url) {
    const seen = await page.evaluate(async (url) => {
      const client = new Client(url);
      const seen = [client.ws.binaryType];
      await client.opened;
      for (const length of [0, 1, 125, 126, 65_535, 65_536, 1 << 20]) {
        client.ws.send(new Blob([pattern(length)]));
        const blob = await client.message();
        seen.push(blob instanceof Blob && isPattern(new Uint8Array(await blob.arrayBuffer()), length));
      }
      return seen;
    }, url);
    expect("blobs", seen, ["blob", ...Array(7).fill(true)]);
  },

  async array_buffers_and_views_come_back(page, url) {
    const seen = await page.evaluate(async (url) => {
      const client = new Client(url);
      client.ws.binaryType = "arraybuffer";
      await client.opened;
      const bytes = pattern(1000);
      const aligned = Uint8Array.from({ length: 8 }, () => 7).buffer;
      const sent = {
        buffer: [bytes.buffer, [...bytes]],
        part: [bytes.subarray(10, 300), [...bytes.subarray(10, 300)]],
        words: [new Uint16Array(aligned), Array(8).fill(7)],
        floats: [new Float64Array(aligned), Array(8).fill(7)],
        view: [new DataView(bytes.buffer, 3, 5), [...bytes.subarray(3, 8)]],
        empty: [new ArrayBuffer(0), []],
      };
      const seen = {};
      for (const [name, [data, wanted]] of Object.entries(sent)) {
        client.ws.send(data);
        const back = await client.message();
        seen[name] = back instanceof ArrayBuffer && String(new Uint8Array(back)) === String(wanted);
      }
      return seen;
    }, url);
    const wanted = { buffer: true, part: true, words: true, floats: true, view: true, empty: true };
    expect("binary messages", seen, wanted);
  },

  async buffered_amount_counts_what_is_not_sent(page, url) {
    const seen = await page.evaluate(async (url) => {
      const client = new Client(url);
      client.ws.binaryType = "arraybuffer";
      await client.opened;
      const seen = [client.ws.bufferedAmount];
      // Nothing leaves before this task is over.
      client.ws.send(new Uint8Array(1000));
      client.ws.send("€");
      seen.push(client.ws.bufferedAmount);
      await client.message();
      await client.message();
      seen.push(client.ws.bufferedAmount);
      client.ws.close();
      client.ws.send("too late, but counted");
      seen.push(client.ws.bufferedAmount);
      await client.ended;
      return seen;
    }, url);
    expect("buffered amounts", seen, [0, 1003, 0, 21]);
  },

  async many_messages_come_back_in_order(page, url) {
    const wrong = await page.evaluate(async (url) => {
      const client = new Client(url);
      await client.opened;
      for (let i = 0; i < 5000; i++) client.ws.send(`message ${i}`);
      for (let i = 0; i < 5000; i++) {
        const message = await client.message();
        if (message !== `message ${i}`) return message;
      }
    }, url);
    expect("a message out of order", wrong ?? null, null);
  },

  async a_subprotocol_is_agreed_on(page, url) {
    const seen = await page.evaluate(async (url) => {
      const seen = [];
      // The client's favourite of those that the server knows; and none, where none was asked for.
      for (const offered of ["echo.v1", ["other", "echo.v2", "echo.v1"], []]) {
        const client = new Client(url, offered);
        await client.opened;
        seen.push(client.ws.protocol);
      }
      // A browser does not go on without one that it has asked for.
      const client = new Client(url, ["unknown"]);
      seen.push((await client.ended).code);
      return seen;
    }, url);
    expect("subprotocols", seen, ["echo.v1", "echo.v2", "", 1006]);
  },

  async close_codes_and_reasons_come_back(page, url) {
    const seen = await page.evaluate(async (url) => {
      const closes = [[], [1000], [1000, "bye"], [3000, "grüße 🌍"], [4999, "r".repeat(123)]];
      const seen = [];
      for (const close of closes) {
        const client = new Client(url);
        await client.opened;
        client.ws.close(...close);
        const { code, wasClean } = await client.ended;
        seen.push([code, wasClean]);
      }
      return seen;
    }, url);
    expect("ends", seen, [[1005, true], [1000, true], [1000, true], [3000, true], [4999, true]]);
  },

  async what_may_not_be_sent_is_refused_by_the_browser(page, url) {
    const seen = await page.evaluate(async (url) => {
      const client = new Client(url);
      const names = [];
      const attempt = (what) => {
        try {
          what();
          names.push("nothing");
        } catch (error) {
          names.push(error.name);
        }
      };
      attempt(() => client.ws.send("too early"));
      await client.opened;
      attempt(() => client.ws.close(1001));
      attempt(() => client.ws.close(1000, "r".repeat(124)));
      attempt(() => new WebSocket(url, ["same", "same"]));
      client.ws.send("still open");
      names.push(await client.message());
      return names;
    }, url);
    const wanted = ["InvalidStateError", "InvalidAccessError", "SyntaxError", "SyntaxError", "still open"];
    expect("errors", seen, wanted);
  },

  async closing_before_it_is_open_is_an_unclean_end(page, url) {
    const seen = await page.evaluate(async (url) => {
      const client = new Client(url);
      client.ws.close();
      client.note();
      const { code, wasClean } = await client.ended;
      return [client.states, code, wasClean];
    }, url);
    expect("end", seen, [[0, 2, 3], 1006, false]);
  },

  async a_message_that_is_too_long_is_refused_with_1009(page, url) {
    const seen = await page.evaluate(
      async ([url, length]) => {
        const client = new Client(url);
        await client.opened;
        client.ws.send(new Uint8Array(length));
        const { code, wasClean } = await client.ended;
        return [code, wasClean];
      },
      [url, MAX_MESSAGE + 1],
    );
    expect("end", seen, [1009, true]);
  },

  async extensions_are_those_that_the_server_took(page, url, { deflate }) {
    const extensions = await page.evaluate(async (url) => {
      const client = new Client(url);
      await client.opened;
      return client.ws.extensions;
    }, url);
    expect("extensions", extensions.split(";")[0], deflate ? "permessage-deflate" : "");
  },

  async a_server_that_leaves_closes_with_1001(page, url, { server }) {
    await page.evaluate(async (url) => {
      globalThis.staying = new Client(url);
      await staying.opened;
    }, url);
    expect("status of the server", await server.interrupt(), 0);
    const end = await page.evaluate(() => staying.ended);
    expect("end", end, { code: 1001, reason: "server is leaving", wasClean: true });
  },

  async a_server_that_dies_is_an_unclean_end(page, url, { server }) {
    await page.evaluate(async (url) => {
      globalThis.staying = new Client(url);
      await staying.opened;
    }, url);
    await server.kill();
    const end = await page.evaluate(() => staying.ended);
    expect("end", end, { code: 1006, reason: "", wasClean: false });
  },
};

export const apiChecks = {};
for (const [name, check] of Object.entries(checks)) {
  for (const adapter of ["blocking", "tokio"]) {
    for (const deflate of [false, true]) {
      apiChecks[`${name} (${adapter}${deflate ? ", compressed" : ""})`] = async (stage) => {
        const args = ["--adapter", adapter, "--max-message", String(MAX_MESSAGE)];
        args.push("--subprotocol", "echo.v2", "--subprotocol", "echo.v1");
        if (deflate) args.push("--deflate");
        const server = await stage.start("echo_server", ...args);
        const page = await stage.window();
        await page.evaluate(inPage);
        await check(page, `ws://${server.address}/echo`, { server, deflate });
      };
    }
  }
}

// Checks of the example `socketio` with the client of Socket.IO, unmodified, from npm.
//
// Prints one line a check, `ok NAME` or `FAILED NAME: why`, then `N passed, N failed`, and exits with 1
// if any failed. The server was started with a short `--ping-interval`.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

// `import` looks for packages beside this file alone, `require` also where NODE_PATH says.
const { io } = createRequire(import.meta.url)("socket.io-client");

const CHECK_MS = 30_000;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { "admin-token": { type: "string" } },
});
const [url] = positionals;
const token = options["admin-token"];

/** The sockets of the check that runs, which are disconnected after it. */
let sockets = [];

/** Makes a socket on a connection of its own, unless the options say otherwise. */
function make(namespace = "/", more = {}) {
  const socket = io(url + namespace, { transports: ["websocket"], forceNew: true, ...more });
  sockets.push(socket);
  return socket;
}

/** Waits for an event, and returns its arguments. */
function once(emitter, event) {
  return new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));
}

async function connected(namespace, more) {
  const socket = make(namespace, more);
  await once(socket, "connect");
  return socket;
}

const bytes = (length) => Buffer.from(Array.from({ length }, (_, index) => (index * 31) % 251));

const checks = {
  async it_connects_over_websocket_with_an_id_of_its_own() {
    const socket = await connected("/?user=1");
    assert.equal(socket.io.engine.transport.name, "websocket");
    assert.ok(socket.id);
    assert.notEqual(socket.id, socket.io.engine.id);
    const other = await connected();
    assert.notEqual(socket.id, other.id);
  },

  async events_have_any_number_of_arguments_of_any_kind() {
    const socket = await connected();
    const lists = [
      [],
      ["text"],
      [1, -2.5, true, false, null],
      ["grüße, 世界 🌍", 'with "quotes", commas, and\nlines', "\u0000\u001b"],
      [{ nested: [{ deep: ["er"] }], empty: {} }, []],
      ["/looks,like", "12[a packet]"],
    ];
    for (const args of lists) {
      socket.emit("echo", ...args);
      assert.deepEqual(await once(socket, "echo"), args);
    }
  },

  async events_come_in_order_among_attachments() {
    const socket = await connected();
    const received = [];
    const done = new Promise((resolve) => {
      socket.on("echo", (number, data) => {
        assert.equal(data === undefined ? 0 : data.length, number % 3 === 0 ? number + 1 : 0);
        if (received.push(number) === 200) resolve();
      });
    });
    for (let number = 0; number < 200; number++) {
      socket.emit("echo", number, ...(number % 3 === 0 ? [bytes(number + 1)] : []));
    }
    await done;
    assert.deepEqual(received, Array.from({ length: 200 }, (_, index) => index));
  },

  async the_server_acknowledges() {
    const socket = await connected();
    assert.equal(await socket.emitWithAck("echo", "answer me"), "answer me");
    const both = new Promise((resolve) => socket.emit("echo", 1, 2, (...args) => resolve(args)));
    assert.deepEqual(await both, [1, 2]);
    // Several are under way at once, and each finds its own.
    const answers = await Promise.all([5, 6, 7].map((value) => socket.emitWithAck("echo", value)));
    assert.deepEqual(answers, [5, 6, 7]);
  },

  async the_client_acknowledges() {
    const socket = await connected();
    socket.on("question", (what, acknowledge) => acknowledge(`${what}: 42`, { sure: true }));
    for (const what of ["first", "second"]) {
      const answered = once(socket, "answered");
      socket.emit("ask", what);
      assert.deepEqual(await answered, [`${what}: 42`, { sure: true }]);
    }
  },

  async an_event_that_nobody_acknowledges_times_out() {
    const socket = await connected();
    await assert.rejects(socket.timeout(100).emitWithAck("nobody listens"), /timed out/);
  },

  async binary_attachments_come_back_wherever_they_were() {
    const socket = await connected();
    const lists = [
      [bytes(1)],
      [bytes(100), bytes(0), "between", bytes(70_000)],
      [{ name: "file", parts: [bytes(3), { last: bytes(4) }] }],
    ];
    for (const args of lists) {
      const echo = once(socket, "echo");
      const acknowledged = new Promise((resolve) => {
        socket.emit("echo", ...args, (...answer) => resolve(answer));
      });
      assert.deepEqual(await echo, args);
      assert.deepEqual(await acknowledged, args);
    }
    const typed = await socket.emitWithAck("echo", new Uint8Array([1, 2, 3]));
    assert.deepEqual(typed, Buffer.from([1, 2, 3]));
  },

  async the_client_acknowledges_with_attachments() {
    const socket = await connected();
    socket.on("question", (data, acknowledge) => acknowledge(data, { twice: data }));
    const answered = once(socket, "answered");
    socket.emit("ask", bytes(10));
    assert.deepEqual(await answered, [bytes(10), { twice: bytes(10) }]);
  },

  async an_attachment_may_be_as_long_as_the_handshake_says() {
    const socket = await connected();
    assert.equal(socket.io.engine.transport.name, "websocket");
    const data = bytes(1_000_000);
    assert.ok(data.equals(await socket.emitWithAck("echo", data)));
  },

  async rooms_reach_the_others_in_them() {
    const [one, two, three] = await Promise.all([connected(), connected(), connected()]);
    const room = `room of ${one.id}`;
    assert.deepEqual(await one.emitWithAck("join", room), { room, members: 1 });
    assert.deepEqual(await two.emitWithAck("join", room), { room, members: 2 });
    const strangers = [];
    three.on("said", (said) => strangers.push(said));
    one.on("said", (said) => strangers.push(said));
    const heard = once(two, "said");
    assert.deepEqual(await one.emitWithAck("say", room, "hello"), { reached: 1 });
    assert.deepEqual(await heard, [{ from: one.id, room, text: "hello" }]);
    const error = { error: "you are not in that room" };
    assert.deepEqual(await three.emitWithAck("say", room, "let me in"), error);
    assert.deepEqual(await two.emitWithAck("leave", room), { room, members: 1 });
    assert.deepEqual(await one.emitWithAck("say", room, "anybody?"), { reached: 0 });
    // What might have come has come before this.
    await three.emitWithAck("echo");
    assert.deepEqual(strangers, []);
  },

  async who_disconnects_leaves_its_rooms() {
    const [one, two] = await Promise.all([connected(), connected()]);
    const room = `room of ${one.id}`;
    await one.emitWithAck("join", room);
    await two.emitWithAck("join", room);
    two.disconnect();
    for (;;) {
      const { reached } = await one.emitWithAck("say", room, "still there?");
      if (reached === 0) break;
    }
  },

  async a_broadcast_reaches_all_others_in_the_namespace_attachments_too() {
    const [one, two, admin] = await Promise.all([
      connected(),
      connected(),
      connected("/admin", { auth: { token } }),
    ]);
    const wrong = [];
    admin.on("broadcast", (...args) => wrong.push(args));
    one.on("broadcast", (...args) => wrong.push(args));
    const heard = once(two, "broadcast");
    one.emit("broadcast", "to all", bytes(5));
    assert.deepEqual(await heard, ["to all", bytes(5)]);
    await Promise.all([admin.emitWithAck("echo"), one.emitWithAck("echo")]);
    assert.deepEqual(wrong, []);
  },

  async namespaces_share_a_connection_and_ask_for_authentication() {
    const root = await connected();
    const manager = root.io;
    const namespace = (name, auth) => {
      const socket = manager.socket(name, { auth }); // It connects by itself.
      sockets.push(socket);
      return socket;
    };
    const admin = namespace("/admin", {});
    const [refused] = await once(admin, "connect_error");
    assert.equal(refused.message, "not authorized");
    admin.auth = { token };
    admin.connect();
    await once(admin, "connect");
    assert.notEqual(admin.id, root.id);
    assert.equal(await admin.emitWithAck("echo", "in /admin"), "in /admin");
    assert.deepEqual(await admin.emitWithAck("echo", bytes(9)), bytes(9));
    const nowhere = namespace("/nowhere", {});
    const [invalid] = await once(nowhere, "connect_error");
    assert.equal(invalid.message, "Invalid namespace");
    // Leaving one leaves the others.
    admin.disconnect();
    assert.equal(await root.emitWithAck("echo", "still here"), "still here");
  },

  async the_server_disconnects_from_one_namespace() {
    const root = await connected();
    const admin = root.io.socket("/admin", { auth: { token } });
    sockets.push(admin);
    await once(admin, "connect");
    const disconnected = once(admin, "disconnect");
    admin.emit("bye");
    const [reason] = await disconnected;
    assert.equal(reason, "io server disconnect");
    assert.equal(await root.emitWithAck("echo", "still here"), "still here");
    admin.connect();
    await once(admin, "connect");
  },

  async a_client_that_asks_twice_for_a_namespace_is_let_in_twice() {
    const root = await connected();
    const admin = root.io.socket("/admin", { auth: { token } });
    sockets.push(admin);
    let count = 0;
    const twice = new Promise((resolve) => admin.on("connect", () => ++count === 2 && resolve()));
    admin.connect(); // The client sends another CONNECT before the answer to the first.
    await twice;
    assert.equal(await admin.emitWithAck("echo", "in /admin"), "in /admin");
  },

  async heartbeats_keep_the_connection() {
    const socket = await connected();
    const lost = [];
    socket.on("disconnect", (reason) => lost.push(reason));
    for (let count = 0; count < 5; count++) await once(socket.io, "ping");
    assert.deepEqual(lost, []);
    assert.equal(await socket.emitWithAck("echo", "alive"), "alive");
  },

  async a_connection_that_breaks_is_made_anew() {
    const socket = await connected("/", { reconnectionDelay: 10 });
    const id = socket.id;
    socket.io.engine.close();
    await once(socket, "connect");
    assert.notEqual(socket.id, id);
    assert.equal(await socket.emitWithAck("echo", "again"), "again");
  },

  async polling_is_refused() {
    const socket = make("/", { transports: ["polling"], reconnection: false });
    const [error] = await once(socket, "connect_error");
    assert.match(error.message, /poll/);
  },
};

async function passes(name, check) {
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(reject, CHECK_MS, new Error(`not done after ${CHECK_MS} ms`));
  });
  try {
    await Promise.race([check(), deadline]);
  } catch (error) {
    console.log(`FAILED ${name}: ${error.message}`);
    return false;
  } finally {
    clearTimeout(timer);
    for (const socket of sockets) socket.disconnect();
    sockets = [];
  }
  console.log(`ok ${name}`);
  return true;
}

if (url === undefined || token === undefined) {
  console.error("usage: features.mjs --admin-token TOKEN http://HOST:PORT");
  process.exit(2);
}
let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  if (!(await passes(name, check))) failed++;
}
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`);
// A failed check may leave a connection open, which would keep the process.
process.exit(failed > 0 ? 1 : 0);

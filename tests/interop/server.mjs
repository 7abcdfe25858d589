// A WebSocket server on Node's `ws`, whose behaviour the client picks by the path.
//
// README.md beside this file has the table of paths; `server.py` is the same server on Python's
// `websockets`.

import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

// `import` looks for packages beside this file alone, `require` also where NODE_PATH says.
const { WebSocketServer } = createRequire(import.meta.url)("ws");

const MIB = 1024 * 1024;
const SUBPROTOCOLS = ["chat.v2", "chat.v1"];
const FRAGMENTED_TEXT = "héllo wörld 🌍 fragmented";
const PING_PAYLOAD = "are you there";
const MAX_BURST = 1_000_000;
const MAX_LARGE = 256 * MIB;
// Longer than any close deadline a test would set, and still an end for a forgotten connection.
const SILENCE_MS = 120_000;
// How long clients have to answer the Close that SIGINT brings.
const SHUTDOWN_MS = 3_000;

const { values: options } = parseArgs({
  options: {
    listen: { type: "string", default: "127.0.0.1:0" },
    "max-message": { type: "string", default: String(64 * MIB) },
    // With both it speaks wss.
    "tls-cert": { type: "string" },
    "tls-key": { type: "string" },
  },
});
const [, host, port] = /^(.*):(\d+)$/.exec(options.listen);

// After the handshake. A route that does not say how it ends leaves that to the client.
const routes = {
  echo,
  subprotocol: echo,

  close(ws, code, reason = "") {
    if (Number(code) === 0) ws.close();
    else ws.close(Number(code), reason);
  },

  fragments(ws) {
    // One byte a fragment splits every character of more than one byte.
    const bytes = Buffer.from(FRAGMENTED_TEXT);
    bytes.forEach((_, i) => {
      ws.send(bytes.subarray(i, i + 1), { binary: false, fin: i === bytes.length - 1 });
    });
    ws.close(1000);
  },

  ping(ws) {
    ws.on("pong", (payload) => {
      if (payload.toString() !== PING_PAYLOAD) return;
      ws.send("pong received");
      ws.close(1000);
    });
    ws.ping(PING_PAYLOAD);
  },

  burst(ws, count) {
    // The upgrade listener corked the socket before the 101 was written.
    for (let i = 0; i < Number(count); i++) ws.send(String(i));
    ws.close(1000);
  },

  large(ws, size) {
    // 31 and 251 have no common factor, so that the pattern repeats every 251 bytes.
    const period = Buffer.from(Array.from({ length: 251 }, (_, i) => (i * 31) % 251));
    ws.send(Buffer.alloc(Number(size), period));
    ws.close(1000);
  },

  headers(ws, ...rest) {
    const { rawHeaders } = rest.at(-1);
    const joined = {};
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = rawHeaders[i].toLowerCase();
      joined[name] = name in joined ? `${joined[name]}, ${rawHeaders[i + 1]}` : rawHeaders[i + 1];
    }
    ws.send(JSON.stringify(joined));
    ws.close(1000);
  },

  half(ws, ...rest) {
    // `ws.terminate()` could drop the 101 if it were not flushed yet.
    rest.at(-1).socket.destroySoon();
  },

  "silent-close"(ws) {
    // The library answers a Close by itself, as soon as it reads it; so it never reads.
    ws.pause();
    setTimeout(() => ws.terminate(), SILENCE_MS).unref();
  },
};

function echo(ws) {
  ws.on("message", (message, isBinary) => ws.send(message, { binary: isBinary }));
}

/** Splits a request target into the route's name, its arguments and the query. */
function split(target) {
  const [path, query] = target.split("?", 2);
  const [, name, first, reason] = /^\/*([^/]*)(?:\/([^/]*)(?:\/(.*))?)?$/s.exec(path);
  const args = [first, reason].filter((arg) => arg !== undefined).map(decodeURIComponent);
  return { name, args, query: new URLSearchParams(query) };
}

/** What is wrong with a route's arguments, if anything. */
function complaint(name, args) {
  const number = args.length > 0 && /^\d+$/.test(args[0]) ? Number(args[0]) : NaN;
  const within = (least, most) => number >= least && number <= most;
  switch (name) {
    case "burst":
      return within(0, MAX_BURST) ? null : `at most ${MAX_BURST} messages`;
    case "large":
      return within(0, MAX_LARGE) ? null : `at most ${MAX_LARGE} bytes`;
    case "deny":
      return within(200, 599) ? null : "status out of range";
    case "close": {
      if (Buffer.byteLength(args[1] ?? "") > 123) return "reason too long";
      const registered = within(1000, 1014) && ![1004, 1005, 1006].includes(number);
      return number === 0 || registered || within(3000, 4999) ? null : "close code out of range";
    }
    default:
      return null;
  }
}

function respond(socket, status, body, extra = {}) {
  const headers = {
    Connection: "close",
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Length": Buffer.byteLength(body),
    ...extra,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const phrase = http.STATUS_CODES[status] ?? "Unregistered";
  socket.end(`HTTP/1.1 ${status} ${phrase}\r\n${lines.join("")}\r\n${body}`);
}

function webSocketServer(perMessageDeflate) {
  return new WebSocketServer({
    noServer: true,
    perMessageDeflate,
    maxPayload: Number(options["max-message"]),
    // How finely our client may fragment, and how fast it may ping, is not what these tests ask.
    maxFragments: 0,
    maxPendingAutoPongs: 0,
    // Without this the library picks the first offer, whatever it is.
    handleProtocols(offered, request) {
      if (split(request.url).name !== "subprotocol") return false;
      return SUBPROTOCOLS.find((ours) => offered.has(ours)) ?? false;
    },
  });
}

// Compression is an option of the whole server, so there are two.
const uncompressed = webSocketServer(false);
const compressed = webSocketServer(true);

function refusePlainHttp(request, response) {
  response.writeHead(426, {
    Upgrade: "websocket",
    Connection: "close, upgrade",
    "Content-Type": "text/plain; charset=utf-8",
  });
  response.end("this server speaks WebSocket\n");
}

const isSecure = options["tls-cert"] !== undefined;
const server = isSecure
  ? https.createServer(
      { cert: readFileSync(options["tls-cert"]), key: readFileSync(options["tls-key"]) },
      refusePlainHttp,
    )
  : http.createServer(refusePlainHttp);

server.on("upgrade", (request, socket, head) => {
  socket.on("error", () => socket.destroy());
  let parts;
  try {
    parts = split(request.url);
  } catch (error) {
    respond(socket, 400, `bad path: ${error.message}`);
    return;
  }
  const { name, args, query } = parts;
  const wrong = complaint(name, args);
  if (wrong !== null) {
    respond(socket, 400, wrong);
  } else if (name === "deny") {
    respond(socket, Number(args[0]), `denied: ${args[0]}`, { "X-Reason": "denied" });
  } else if (name === "redirect") {
    respond(socket, 302, "moved", { Location: "/echo" });
  } else if (!Object.hasOwn(routes, name)) {
    respond(socket, 404, `no such path: ${request.url}`);
  } else {
    const deflate = name === "echo" && query.get("deflate") === "1";
    // What is written until the uncorking leaves in one piece: 101 and first frames together.
    if (name === "burst") socket.cork();
    (deflate ? compressed : uncompressed).handleUpgrade(request, socket, head, (ws) => {
      // A peer's error is our client's test to judge; unheard it would end this process.
      ws.on("error", () => {});
      routes[name](ws, ...args, request);
    });
    if (name === "burst") socket.uncork();
  }
});

server.listen(Number(port), host, () => {
  const scheme = isSecure ? "wss" : "ws";
  console.log(`listening on ${scheme}://${host}:${server.address().port}`);
});

function shutDown() {
  server.close();
  server.closeIdleConnections();
  for (const ws of [...uncompressed.clients, ...compressed.clients]) ws.close(1001);
  setTimeout(() => process.exit(0), SHUTDOWN_MS).unref();
}
process.once("SIGINT", shutDown);
process.once("SIGTERM", shutDown);

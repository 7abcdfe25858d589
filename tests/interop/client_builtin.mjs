// Node's own client, the WebSocket of browsers, with as much of the face of `ws` as the checks of
// `client.mjs` use.
//
// Node 22 and later have it as a global. An older one takes it from the package that it is made of:
// undici, of the line that Node 22 carries. Both trust whom NODE_EXTRA_CA_CERTS names.

import { EventEmitter } from "node:events";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const Standard = globalThis.WebSocket ?? require("undici").WebSocket;

export const version =
  globalThis.WebSocket === undefined
    ? `undici ${require("undici/package.json").version}`
    : `the undici ${process.versions.undici} of node ${process.version}`;

/** The client cannot do what a check asks for, which is then skipped. */
export class Unable extends Error {}

export class WebSocket extends EventEmitter {
  static CLOSED = Standard.CLOSED;

  constructor(url, { headers, protocolVersion, perMessageDeflate }) {
    super();
    if (headers !== undefined) throw new Unable("no headers can be set");
    if (protocolVersion !== undefined) throw new Unable("no version can be set");
    // It offers compression whether asked to or not, and always the same.
    const { threshold, ...parameters } = perMessageDeflate || {};
    if (Object.keys(parameters).length > 0) throw new Unable("no parameter can be offered");
    this.socket = new Standard(url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.emit("open");
    this.socket.onerror = ({ error, message }) => this.emit("error", error ?? new Error(message));
    this.socket.onclose = ({ code, reason }) => this.emit("close", code, reason);
    this.socket.onmessage = ({ data }) => {
      this.emit("message", Buffer.from(data), typeof data !== "string");
    };
  }

  get readyState() {
    return this.socket.readyState;
  }

  get protocol() {
    return this.socket.protocol;
  }

  /** The names of the extensions without their parameters. */
  get extensions() {
    return this.socket.extensions.replace(/;.*/, "");
  }

  send(data, options) {
    if (options !== undefined) throw new Unable("no frame can be made");
    this.socket.send(data);
  }

  close(code, reason) {
    this.socket.close(code, reason);
  }

  ping() {
    throw new Unable("no ping can be sent");
  }

  pong() {
    throw new Unable("no pong can be sent");
  }
}

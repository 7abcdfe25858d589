// Examples as programs, a network that can be cut, and comparing.

import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { createInterface } from "node:readline";

const LISTEN_MS = 20_000;

/** An example that runs. */
export class Example {
  #process;
  #lines = [];
  #readers = [];

  constructor(program, args) {
    this.program = program;
    this.#run(["--listen", "127.0.0.1:0", ...args]);
    this.listening = this.#listen(args);
  }

  #run(args) {
    this.#process = spawn(this.program, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.ended = once(this.#process, "exit");
    // A program that is not there exits too, in a way.
    this.#process.on("error", () => {});
    createInterface({ input: this.#process.stdout }).on("line", (line) => {
      const reader = this.#readers.shift();
      if (reader) reader(line);
      else this.#lines.push(line);
    });
  }

  async #listen(args) {
    const timeout = new Promise((_, reject) => setTimeout(reject, LISTEN_MS).unref());
    const line = await Promise.race([this.line(), this.ended, timeout]).catch(() => undefined);
    const address = /^(?:open http|listening on ws):\/\/([^/]*)/.exec(line)?.[1];
    if (address === undefined) throw new Error(`${this.program} does not listen`);
    this.address = address;
    this.again = ["--listen", address, ...args];
  }

  get url() {
    return `http://${this.address}/`;
  }

  get port() {
    return Number(this.address.split(":").at(-1));
  }

  /** The next line that it prints. */
  line() {
    if (this.#lines.length > 0) return Promise.resolve(this.#lines.shift());
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  type(line) {
    this.#process.stdin.write(`${line}\n`);
  }

  /** Stops it as Ctrl-C does, and returns its status. */
  async interrupt() {
    this.#process.kill("SIGINT");
    const [status, signal] = await this.ended;
    return status ?? signal;
  }

  async kill() {
    this.#process.kill("SIGKILL");
    await this.ended.catch(() => {});
  }

  /** Starts it again where it was, once it has stopped. */
  async restart() {
    this.#run(this.again);
    await this.line();
  }
}

/** A way to a server that can be cut. */
export class Link {
  #sockets = new Set();
  #isCut = false;

  static async to(port) {
    const link = new Link();
    link.server = net.createServer((near) => link.#join(near, port));
    link.server.listen(0, "127.0.0.1");
    await once(link.server, "listening");
    link.url = `http://127.0.0.1:${link.server.address().port}/`;
    return link;
  }

  #join(near, port) {
    if (this.#isCut) {
      near.destroy();
      return;
    }
    const far = net.connect(port, "127.0.0.1");
    for (const [socket, other] of [[near, far], [far, near]]) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }

  cut() {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend() {
    this.#isCut = false;
  }

  close() {
    this.cut();
    this.server.close();
  }
}

export function expect(what, got, wanted) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${what}: got ${a}, wanted ${b}`);
}

/** Waits until `look()` says what is wanted. */
export async function eventually(what, look, wanted, milliseconds = 15_000) {
  const end = Date.now() + milliseconds;
  let got;
  do {
    got = await look();
    if (JSON.stringify(got) === JSON.stringify(wanted)) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  } while (Date.now() < end);
  expect(what, got, wanted);
}

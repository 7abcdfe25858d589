// A WebSocket that comes back.

const FIRST_DELAY = 500;
const LONGEST_DELAY = 15_000;
// Only after this long is a connection good enough for the next delay to be the first again: a server
// that accepts and closes at once is not asked faster and faster.
const STEADY = 5_000;

/**
 * Keeps a connection to this server, shows its state in the element `status`, and speaks JSON.
 *
 * `opened()` is called with every connection, `received(value)` with every message, and `refused(event)`
 * where the server closes with a code of its own, 4000 or more, after which nothing is tried again.
 */
export function connect(status, { opened, received, refused }) {
  const url = new URL("/ws", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  let socket;
  let failures = 0;
  let waiting;

  function show(state, text) {
    status.dataset.state = state;
    status.textContent = text;
  }

  function dial() {
    clearTimeout(waiting);
    waiting = undefined;
    show("connecting", "connecting …");
    socket = new WebSocket(url);
    let steady;
    socket.onopen = () => {
      steady = setTimeout(() => (failures = 0), STEADY);
      show("open", "connected");
      opened?.();
    };
    socket.onmessage = (event) => received(JSON.parse(event.data));
    socket.onclose = (event) => {
      clearTimeout(steady);
      const why = event.reason ? `: ${event.reason}` : "";
      if (event.code >= 4000) {
        show("closed", `closed${why}`);
        refused?.(event);
        return;
      }
      // Half of it is chance, so that the clients of a server that comes back do not come all at once.
      const delay = Math.min(FIRST_DELAY * 2 ** failures++, LONGEST_DELAY) * (0.5 + Math.random() / 2);
      waiting = setTimeout(dial, delay);
      show("waiting", `disconnected${why} – next try in ${Math.ceil(delay / 1000)} s`);
    };
  }

  // The network is back: there is nothing to wait for.
  addEventListener("online", () => waiting !== undefined && dial());
  dial();

  return {
    /** Sends a value, and says whether there was a connection to send it on. */
    send(value) {
      if (socket.readyState !== WebSocket.OPEN) return false;
      socket.send(JSON.stringify(value));
      return true;
    },
  };
}

import { connect } from "/connect.js";

const MAX_LENGTH = 3000;
const [area, count, warning] = ["text", "version", "warning"].map((id) => document.getElementById(id));
// Who we are, for as long as the window is open.
const author = Math.floor(Math.random() * Number.MAX_SAFE_INTEGER);

// The newest text that the server has sent, and its version.
let known = "";
let version;
// The edit that is on its way: one at a time, so that each is of a text that we know.
let sent;

const connection = connect(document.getElementById("status"), {
  opened() {
    // An edit that was on its way may have arrived or not: the answer says, and nothing is sent before.
    version = undefined;
    connection.send({ hello: author });
  },
  received: update,
});

area.oninput = push;

/** Sends what is not sent yet. */
function push() {
  if (version === undefined || sent || area.value === known) return;
  const edit = { base: version, text: area.value };
  if (connection.send({ edit })) sent = edit;
}

/** Takes a newer text, and keeps what is written here and not there yet. */
function update(newer) {
  if (sent && newer.yours === sent.base + 1) known = sent.text;
  sent = undefined;
  const merged = merge(known, area.value, newer.text);
  known = newer.text;
  version = newer.version;
  const fits = merged.length <= MAX_LENGTH;
  count.textContent = `Version ${version}`;
  warning.textContent = fits ? "" : "The text is full: what you wrote last is not in it.";
  show(fits ? merged : known);
  push();
}

/** Shows a text, and leaves the cursor where it was among its words. */
function show(text) {
  if (text === area.value) return;
  const made = changes(area.value, text);
  const { selectionStart, selectionEnd, selectionDirection } = area;
  area.value = text;
  area.setSelectionRange(moved(selectionStart, made), moved(selectionEnd, made), selectionDirection);
}

/** Makes the changes of `base` that led to `ours` to `theirs`, which was made of it too. */
function merge(base, ours, theirs) {
  const their = changes(base, theirs);
  // From the last to the first, so that the places of those before stay what they are.
  return changes(base, ours).reduceRight(
    (text, { start, end, put }) => text.slice(0, moved(start, their)) + put + text.slice(moved(end, their)),
    theirs,
  );
}

/** Where a place in a text is after changes of it. */
function moved(place, changes) {
  let shift = 0;
  for (const { start, end, put } of changes) {
    if (place <= start) break;
    if (place < end) return start + shift;
    shift += put.length - (end - start);
  }
  return place + shift;
}

/**
 * What makes `after` of `before`, changing as little as can be: the text from each `start` to its `end`
 * is cut, and `put` put in its place.
 */
function changes(before, after) {
  // By characters, of which some are two units of a string.
  let [a, b] = [[...before], [...after]];
  const shorter = Math.min(a.length, b.length);
  let same = 0;
  while (same < shorter && a[same] === b[same]) same++;
  let place = a.slice(0, same).join("").length;
  let tail = 0;
  while (tail < shorter - same && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  [a, b] = [a, b].map((text) => text.slice(same, text.length - tail));

  // How much `a` from i on and `b` from j on have in common, in the same order.
  const common = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }

  const found = [];
  let change;
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      place += a[i++].length;
      j++;
      change = undefined;
      continue;
    }
    if (change === undefined) found.push((change = { start: place, end: place, put: "" }));
    if (i === a.length || (j < b.length && common[i][j + 1] >= common[i + 1][j])) change.put += b[j++];
    else change.end = place += a[i++].length;
  }
  return found;
}

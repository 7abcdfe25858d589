import { connect } from "/connect.js";

const FIRST_ROOM = "lobby";
const MOST_LINES = 200;
// A note that somebody is typing is sent this often, and believed for longer.
const TYPING_EVERY = 2000;
const TYPING_LASTS = 5000;
const RETRY_NAME = 2000;

const $ = (id) => document.getElementById(id);

// With the secret this window takes its name again, after a reload or on a new connection.
sessionStorage.secret ??= crypto.getRandomValues(new Uint32Array(4)).join("-");
let me = sessionStorage.me;
let hasEntered = false;

// By "#room" or "@person", in lower case; what is shown of each is in its `log`.
const conversations = new Map();
let current;
// The room that was asked for last, which is shown once we are in it.
let wanted;

// ---- The connection ----

const connection = connect($("status"), {
  opened() {
    hasEntered = false;
    if (me !== undefined) hello();
    showEntrance();
  },
  received: (event) => receivers[event.event]?.(event),
  refused() {
    for (const control of document.querySelectorAll("button, input")) control.disabled = true;
  },
});

function hello() {
  connection.send({ hello: { name: me, key: sessionStorage.secret } });
}

function ask(command) {
  $("notice").textContent = "";
  const sent = hasEntered && connection.send(command);
  if (!sent) $("notice").textContent = "There is no connection: try again in a moment.";
  return sent;
}

const receivers = {
  welcome({ name }) {
    hasEntered = true;
    me = sessionStorage.me = name;
    $("refusal").textContent = "";
    showEntrance();
    for (const { room } of conversations.values()) {
      if (room && room !== FIRST_ROOM) connection.send({ join: room });
    }
  },
  refused({ why }) {
    // Once it was ours it will be again, as soon as nobody holds it.
    if (conversations.size > 0) {
      setTimeout(() => hasEntered || hello(), RETRY_NAME);
      return;
    }
    me = undefined;
    sessionStorage.removeItem("me");
    $("refusal").textContent = why;
    showEntrance();
    $("name").select();
  },
  room({ room, people, history }) {
    const joined = conversationOf(`#${room}`, { room });
    joined.people = new Set(people);
    joined.log.replaceChildren();
    for (const said of history) addSaid(joined, said);
    if (room === wanted) select(joined);
    wanted = undefined;
    render();
  },
  out({ room }) {
    remove(`#${room}`);
  },
  joined({ room, name }) {
    const { people } = addNote(room, `${name} is here.`);
    people.add(name);
    render();
  },
  left({ room, name }) {
    const left = addNote(room, `${name} has left.`);
    left.people.delete(name);
    stopTyping(left, name);
    render();
  },
  said({ room, said }) {
    const conversation = conversationOf(`#${room}`, { room });
    stopTyping(conversation, said.from);
    addSaid(conversation, said);
    noteUnread(conversation, said);
  },
  direct({ to, said }) {
    const person = said.from === me ? to : said.from;
    const conversation = conversationOf(`@${person}`, { person });
    addSaid(conversation, said);
    noteUnread(conversation, said);
  },
  typing({ room, name }) {
    const conversation = conversationOf(`#${room}`, { room });
    stopTyping(conversation, name);
    const over = setTimeout(() => stopTyping(conversation, name), TYPING_LASTS);
    conversation.typing.set(name, over);
    renderTyping();
  },
  notice({ text, unsaid }) {
    $("notice").textContent = text;
    if (unsaid && $("text").value === "") $("text").value = unsaid;
  },
};

// ---- What is known ----

function conversationOf(title, { room, person }) {
  const id = title.toLowerCase();
  let conversation = conversations.get(id);
  if (conversation === undefined) {
    const log = element("ol", { className: "log", ariaLabel: title, role: "log", hidden: true });
    $("logs").append(log);
    conversation = { id, title, room, person, log, people: new Set(), typing: new Map(), unread: 0 };
    conversations.set(id, conversation);
    if (current === undefined) select(conversation);
    render();
  }
  return conversation;
}

function remove(id) {
  const conversation = conversations.get(id);
  if (conversation === undefined) return;
  conversations.delete(id);
  conversation.log.remove();
  if (current === conversation) select(conversations.values().next().value);
  render();
}

function select(conversation) {
  if (current) current.log.hidden = true;
  current = conversation;
  if (current) {
    current.log.hidden = false;
    current.unread = 0;
    current.log.lastElementChild?.scrollIntoView({ block: "nearest" });
  }
  $("notice").textContent = "";
  render();
}

function noteUnread(conversation, said) {
  if (said.from !== me && (conversation !== current || document.hidden)) conversation.unread++;
  render();
}

function stopTyping({ typing }, name) {
  clearTimeout(typing.get(name));
  typing.delete(name);
  renderTyping();
}

// ---- What is shown: other people's words are text, never markup ----

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function addSaid(conversation, { from, text, at }) {
  const time = element("time", {
    className: "quiet",
    dateTime: new Date(at * 1000).toISOString(),
    textContent: new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }),
  });
  const by = element("div", { className: "by" }, element("b", { dir: "auto", textContent: from }), " ", time);
  const words = element("div", { className: "said", dir: "auto", textContent: text });
  add(conversation, element("li", { className: from === me ? "mine" : "" }, by, words));
}

function addNote(room, text) {
  const conversation = conversationOf(`#${room}`, { room });
  add(conversation, element("li", { className: "quiet note", textContent: text }));
  return conversation;
}

function add({ log }, item) {
  log.append(item);
  while (log.childElementCount > MOST_LINES) log.firstElementChild.remove();
  item.scrollIntoView({ block: "nearest" });
}

function showEntrance() {
  // On a reload the name is asked for only if it is refused.
  $("entrance").hidden = me !== undefined;
  $("chat").hidden = me === undefined;
}

function render() {
  const tabs = [...conversations.values()].map((conversation) => {
    const label = conversation.unread > 0 ? `${conversation.title} (${conversation.unread} new)` : conversation.title;
    const button = element("button", { type: "button", className: "plain small", textContent: label });
    if (conversation === current) button.ariaCurrent = "true";
    button.onclick = () => {
      select(conversation);
      $("text").focus();
    };
    return element("li", {}, button);
  });
  replace($("conversations"), tabs);
  $("conversation").hidden = current === undefined;
  $("title").textContent = current?.title ?? "";
  $("text").placeholder = `Message ${current?.title}`;
  $("leave").textContent = current?.person ? "Close" : "Leave";
  $("presence").hidden = !current?.room;
  const people = [...(current?.people ?? [])].sort().map((name) => {
    if (name === me) return element("li", { textContent: `${name} (you)` });
    const button = element("button", {
      type: "button",
      className: "plain small",
      textContent: name,
      title: `Write to ${name} alone`,
    });
    button.onclick = () => {
      select(conversationOf(`@${name}`, { person: name }));
      $("text").focus();
    };
    return element("li", {}, button);
  });
  replace($("people"), people);
  renderTyping();
  const unread = [...conversations.values()].reduce((sum, conversation) => sum + conversation.unread, 0);
  document.title = unread > 0 ? `(${unread}) chat` : "chat";
}

/** Puts new items into a list, and leaves the focus on the one that had it. */
function replace(list, items) {
  const focused = [...list.children].findIndex((item) => item.contains(document.activeElement));
  list.replaceChildren(...items);
  if (focused !== -1) items[Math.min(focused, items.length - 1)]?.firstElementChild?.focus();
}

function renderTyping() {
  const names = [...(current?.typing.keys() ?? [])];
  const verb = names.length === 1 ? "is" : "are";
  $("typing").textContent = names.length > 0 ? `${new Intl.ListFormat("en").format(names)} ${verb} typing …` : "";
}

// ---- What a person does ----

$("enter").onsubmit = (event) => {
  event.preventDefault();
  me = $("name").value.trim();
  hello();
};

$("join").onsubmit = (event) => {
  event.preventDefault();
  const room = $("room").value.trim().replace(/^#/, "").toLowerCase();
  const known = conversations.get(`#${room}`);
  if (known) select(known);
  else if (!ask({ join: room })) return;
  else wanted = room;
  $("room").value = "";
};

$("leave").onclick = () => {
  if (current?.person) remove(current.id);
  else if (current) ask({ leave: current.room });
};

$("say").onsubmit = (event) => {
  event.preventDefault();
  const text = $("text").value;
  if (current === undefined || text.trim() === "") return;
  const { room, person } = current;
  if (ask(room ? { say: { room, text } } : { direct: { to: person, text } })) $("text").value = "";
  lastTyping = 0;
};

let lastTyping = 0;
$("text").oninput = () => {
  if (!current?.room || Date.now() - lastTyping < TYPING_EVERY) return;
  lastTyping = Date.now();
  connection.send({ typing: current.room });
};

document.onvisibilitychange = () => {
  if (document.hidden || current === undefined) return;
  current.unread = 0;
  render();
};

showEntrance();

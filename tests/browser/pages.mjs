// The pages of the examples, used as a person uses them, and seen as a person sees them.

import { Link, eventually, expect } from "./support.mjs";

// What would run, or change the page, if it were taken for markup.
const MARKUP = `<img src=x onerror="alert(1)"><b>bold</b> & "quoted" </li>`;

const text = (page, selector) => () => page.locator(selector).innerText();
const texts = (page, selector) => () => page.locator(selector).allInnerTexts();
const isConnected = (page) => eventually("the state", text(page, "#status"), "connected");

/** Opens a page, and waits until it is connected. */
async function visit(stage, url, look) {
  const page = await stage.window(look);
  await page.goto(url);
  await isConnected(page);
  return page;
}

export const pageChecks = {
  // ---- All of them ----

  ...Object.fromEntries(
    ["clock", "counter", "broadcast", "chat", "live_text"].map((name) => [
      `${name}_is_readable_on_a_narrow_phone_and_by_a_screen_reader`,
      async (stage) => {
        const { url } = await stage.start(name);
        const page = await visit(stage, url, { phone: true });
        if (name === "chat") await enterAs(page, "A-name-of-20-letters");
        await page.setViewportSize({ width: 320, height: 560 });
        const seen = await page.evaluate(() => ({
          width: document.scrollingElement.scrollWidth,
          language: document.documentElement.lang,
          headings: document.querySelectorAll("h1").length,
          unnamed: [...document.querySelectorAll("input, textarea, button")]
            .filter((control) => !control.ariaLabel && !control.labels?.length && !control.textContent.trim())
            .map((control) => control.outerHTML),
          outside: [...document.querySelectorAll(".card *")]
            .filter((inner) => inner.getBoundingClientRect().right > inner.closest(".card").getBoundingClientRect().right)
            .map((inner) => inner.outerHTML),
        }));
        expect("the page", seen, { width: 320, language: "en", headings: 1, unnamed: [], outside: [] });
        await stage.screenshot(page, `${name}-narrow`);
      },
    ]),
  ),

  // ---- The page of the servers on other people's HTTP ----

  ...Object.fromEntries(
    ["axum_server", "hyper_server", "smol_server"].map((name) => [
      `the_page_of_${name}_shows_an_echo`,
      async (stage) => {
        const server = await stage.start(name);
        const page = await stage.window();
        await page.goto(server.url);
        await eventually("the log", text(page, "pre"), "open\n");
        await page.locator("input").fill(MARKUP);
        await page.keyboard.press("Enter");
        await eventually("the log", text(page, "pre"), `open\n> ${MARKUP}\n< ${MARKUP}\n`);
      },
    ]),
  ),

  // ---- clock ----

  async clock_counts_down_in_each_window_on_its_own(stage) {
    const { url } = await stage.start("clock");
    const one = await visit(stage, url, { phone: true });
    const other = await visit(stage, url, { dark: true });
    await countDown(one, 3);
    await countDown(other, 60);
    await stage.screenshot(other, "clock-dark");
    await eventually("what one says", text(one, "#news"), "Time is up.");
    await stage.screenshot(one, "clock-phone");
    // A machine that is busy may make either miss a tick.
    const [shown, others] = [await counted(one), await counted(other)].map((ticks) => ticks.map(({ left }) => left));
    const goesDown = (lefts) => lefts.every((left, i) => i === 0 || left < lefts[i - 1]);
    expect("what one showed first and last", [shown[0], shown.at(-1)], [3, 0]);
    expect("what the other showed first", others[0], 60);
    expect("that both went down", [goesDown(shown), goesDown(others)], [true, true]);
    expect("that the other counts on, and from its own", others.length > 1 && others.at(-1) > 3, true);
  },

  async a_clock_that_is_frozen_misses_ticks_and_is_not_behind(stage) {
    const { url } = await stage.start("clock");
    const page = await visit(stage, url);
    await countDown(page, 60);
    await page.getByRole("button", { name: "Freeze" }).click();
    await eventually("that it missed some", async () => /missed [2-9] ticks/.test(await text(page, "#news")()), true);
    const ticks = await counted(page);
    const [first, last] = [ticks[0], ticks.at(-1)];
    const behind = (last.at - first.at) / 1000 - (first.left - last.left);
    expect(`that ${behind} seconds behind are few`, Math.abs(behind) < 2, true);
    await stage.screenshot(page, "clock-frozen");
  },

  // ---- counter ----

  async counter_adds_up_what_two_windows_add(stage) {
    const { url } = await stage.start("counter");
    const one = await visit(stage, url, { phone: true });
    await eventually("who is there", text(one, "#users"), "You are alone here.");
    const other = await visit(stage, url, { dark: true });
    await eventually("who is there", text(one, "#users"), "2 windows are here.");
    await one.getByRole("button", { name: "Add one" }).click();
    await one.getByLabel("Number").fill("1234");
    await one.getByRole("button", { name: "Add", exact: true }).click();
    await eventually("the total of the other", text(other, "#total"), "1,235");
    await other.getByRole("button", { name: "Take one away" }).click();
    await eventually("the total of one", text(one, "#total"), "1,234");
    await stage.screenshot(one, "counter-phone");
    await stage.screenshot(other, "counter-dark");
    await other.close();
    await eventually("who is there", text(one, "#users"), "You are alone here.");
  },

  // ---- broadcast ----

  async broadcast_shows_each_line_in_every_window(stage) {
    const server = await stage.start("broadcast");
    const one = await visit(stage, server.url, { phone: true });
    const other = await visit(stage, server.url, { dark: true });
    await gather(server, 2);
    server.type("The ferry leaves at nine.");
    expect("what the server prints", await server.line(), "to 2, skipped by 0, too slow: 0");
    const third = await visit(stage, server.url);
    await gather(server, 3);
    server.type(MARKUP);
    expect("what the server prints", await server.line(), "to 3, skipped by 0, too slow: 0");
    await eventually("the first window", lines(one), ["The ferry leaves at nine.", MARKUP]);
    await eventually("the second", lines(other), ["The ferry leaves at nine.", MARKUP]);
    await eventually("the third", lines(third), [MARKUP]);
    await stage.screenshot(one, "broadcast-phone");
    await stage.screenshot(other, "broadcast-dark");
    expect("status of the server", await server.interrupt(), 0);
    const state = async () => (await text(one, "#status")()).split(" – ")[0];
    await eventually("the state", state, "disconnected: server is leaving");
    await stage.screenshot(one, "broadcast-disconnected");
    await server.restart();
    await isConnected(one);
  },

  // ---- chat ----

  async chat_tells_two_people_what_they_say(stage) {
    const { url } = await stage.start("chat");
    const ada = await enter(stage, url, "Ada");
    const bob = await enter(stage, url, "Bob", { dark: true });
    await eventually("who Ada sees", texts(ada, "#people li"), ["Ada (you)", "Bob"]);
    await eventually("who Bob sees", texts(bob, "#people li"), ["Ada", "Bob (you)"]);
    await say(ada, "Is anybody here?");
    await eventually("what Bob sees", said(bob), ["Is anybody here?"]);
    await bob.getByLabel("Message").pressSequentially("Yes");
    await eventually("that Bob types", text(ada, "#typing"), "Bob is typing …");
    await stage.screenshot(ada, "chat-typing");
    await bob.keyboard.press("Enter");
    await eventually("what Ada sees", said(ada), ["Is anybody here?", "Yes"]);
    await eventually("that Bob types no more", () => ada.locator("#typing").textContent(), "");
    await say(bob, MARKUP);
    await eventually("what Ada sees", said(ada), ["Is anybody here?", "Yes", MARKUP]);
    await stage.screenshot(bob, "chat-dark");
    await bob.close();
    await eventually("who Ada sees", texts(ada, "#people li"), ["Ada (you)"]);
    await eventually("the last line", () => ada.locator(".log li").last().innerText(), "Bob has left.");
  },

  async chat_is_for_more_than_two(stage) {
    const { url } = await stage.start("chat");
    const ada = await enter(stage, url, "Ada");
    const bob = await enter(stage, url, "Bob");
    const eve = await enter(stage, url, "Eve");
    for (const page of [ada, bob, eve]) await join(page, "harbour");
    const talk = [
      [bob, "Does anybody know when the ferry leaves?"],
      [ada, "At nine. It was on the radio."],
      [eve, "They said half past. The wind, again."],
      [ada, "Then there is time for a coffee."],
    ];
    for (const [i, [page, words]] of talk.entries()) {
      await say(page, words);
      await eventually("what Ada sees", said(ada), talk.slice(0, i + 1).map(([, words]) => words));
    }
    await tab(bob, "#lobby").click();
    await say(bob, "The keys are with the neighbour.");
    await tab(bob, "#harbour").click();
    await eve.getByRole("button", { name: "Ada" }).click();
    await say(eve, "Shall I pick you up?");
    await tab(eve, "#harbour").click();
    const tabs = ["#lobby (1 new)", "#harbour", "@Eve (1 new)"];
    await eventually("the conversations of Ada", texts(ada, "#conversations li"), tabs);
    await bob.getByLabel("Message").pressSequentially("G");
    await eve.getByLabel("Message").pressSequentially("I");
    await eventually("who types", text(ada, "#typing"), "Bob and Eve are typing …");
    await stage.screenshot(ada, "chat-of-three");
    await ada.emulateMedia({ colorScheme: "dark" });
    await stage.screenshot(ada, "chat-of-three-dark");
  },

  async chat_gives_a_name_to_one_person(stage) {
    const { url } = await stage.start("chat");
    await enter(stage, url, "Ada");
    const bob = await visit(stage, url, { phone: true });
    for (const [name, answer] of [["ADA", "Somebody has this name."], ["a b", "A name is 1 to 20 letters, digits, - and _."]]) {
      await bob.getByLabel("Your name").fill(name);
      await bob.getByRole("button", { name: "Enter" }).click();
      await eventually("the answer", text(bob, "#refusal"), answer);
    }
    await stage.screenshot(bob, "chat-entrance-phone");
    await bob.getByLabel("Your name").fill("Bob");
    await bob.keyboard.press("Enter");
    await bob.getByLabel("Message").waitFor();
  },

  async chat_has_rooms_that_one_joins_and_leaves(stage) {
    const { url } = await stage.start("chat");
    const ada = await enter(stage, url, "Ada");
    const bob = await enter(stage, url, "Bob", { phone: true });
    await join(ada, "tea");
    await say(ada, "The kettle is on.");
    await eventually("who is in the room", texts(ada, "#people li"), ["Ada (you)"]);
    await join(bob, "Tea");
    await eventually("what was said before", said(bob), ["The kettle is on."]);
    await eventually("who is in the room", texts(ada, "#people li"), ["Ada (you)", "Bob"]);
    await tab(ada, "#lobby").click();
    await say(bob, "Two sugars, please.");
    await eventually("that there is something new", texts(ada, "#conversations li"), ["#lobby", "#tea (1 new)"]);
    await stage.screenshot(bob, "chat-phone");
    await tab(ada, "#tea").click();
    await eventually("what Ada sees", said(ada), ["The kettle is on.", "Two sugars, please."]);
    await bob.getByRole("button", { name: "Leave" }).click();
    await eventually("the rooms of Bob", texts(bob, "#conversations li"), ["#lobby"]);
    await eventually("who is in the room", texts(ada, "#people li"), ["Ada (you)"]);
    await say(ada, "Nobody hears this.");
    await eventually("what Bob sees", said(bob), []);
    await ada.getByRole("button", { name: "Leave" }).click();
    // A room that is empty is forgotten.
    await join(bob, "tea");
    await eventually("what was said before", said(bob), []);
  },

  async chat_carries_what_is_for_one_person_only(stage) {
    const { url } = await stage.start("chat");
    const ada = await enter(stage, url, "Ada");
    const bob = await enter(stage, url, "Bob");
    const eve = await enter(stage, url, "Eve");
    await ada.getByRole("button", { name: "Bob" }).click();
    await say(ada, "Between us.");
    await eventually("what Ada sees", said(ada), ["Between us."]);
    await eventually("the conversations of Bob", texts(bob, "#conversations li"), ["#lobby", "@Ada (1 new)"]);
    expect("the title of Bob's window", await bob.title(), "(1) chat");
    await tab(bob, "@Ada").click();
    await say(bob, "Nobody will know.");
    await eventually("what Ada sees", said(ada), ["Between us.", "Nobody will know."]);
    await stage.screenshot(bob, "chat-direct");
    await say(eve, "Hello?");
    await eventually("what Eve sees", said(eve), ["Hello?"]);
    expect("the conversations of Eve", await texts(eve, "#conversations li")(), ["#lobby"]);
  },

  async chat_slows_down_who_is_too_fast(stage) {
    const { url } = await stage.start("chat");
    const ada = await enter(stage, url, "Ada");
    // In one turn of the page: with a click for each, a slow machine is no faster than one may talk.
    await ada.evaluate(() => {
      const input = document.getElementById("text");
      for (let i = 0; i < 40; i++) {
        input.value = `${i}`;
        input.form.requestSubmit();
      }
    });
    await eventually("the notice", text(ada, "#notice"), "You are too fast: that was not sent.");
    // The first that was not sent stands where it was typed.
    const unsaid = Number((await ada.getByLabel("Message").inputValue()) || NaN);
    const before = (await said(ada)()).map(Number).filter((number) => number < unsaid);
    expect("what was sent before it", before, [...Array(unsaid || 0).keys()]);
    expect("that some was", unsaid > 10, true);
  },

  async chat_comes_back_after_a_reload_a_cut_and_a_restart(stage) {
    const server = await stage.start("chat");
    const link = await Link.to(server.port);
    const ada = await enter(stage, link.url, "Ada", { phone: true });
    const bob = await enter(stage, server.url, "Bob");
    await join(ada, "tea");
    await join(bob, "tea");
    await ada.reload();
    await eventually("who Bob sees", texts(bob, "#people li"), ["Bob (you)"]);
    await isConnected(ada);
    await join(ada, "tea");
    await say(bob, "Back again?");
    await eventually("what Ada sees", said(ada), ["Back again?"]);
    link.cut();
    await eventually("that Ada waits", () => ada.locator("#status").getAttribute("data-state"), "waiting");
    await ada.getByLabel("Message").fill("This waits.");
    await ada.getByRole("button", { name: "Send" }).click();
    await eventually("the notice", text(ada, "#notice"), "There is no connection: try again in a moment.");
    await stage.screenshot(ada, "chat-disconnected");
    await say(bob, "Are you there?");
    link.mend();
    await eventually("what Ada sees", said(ada), ["Back again?", "Are you there?"], 30_000);
    await ada.getByRole("button", { name: "Send" }).click();
    await eventually("what Bob sees", said(bob), ["Back again?", "Are you there?", "This waits."]);
    expect("status of the server", await server.interrupt(), 0);
    await server.restart();
    await isConnected(bob);
    await isConnected(ada);
    for (const page of [ada, bob]) {
      await eventually("the rooms", texts(page, "#conversations li"), ["#lobby", "#tea"]);
    }
    await eventually("who Bob sees", texts(bob, "#people li"), ["Ada", "Bob (you)"]);
    await say(ada, "All of us are here.");
    await eventually("what Bob sees", said(bob), ["All of us are here."]);
    link.close();
  },

  async chat_gives_a_name_to_the_newer_of_two_windows(stage) {
    const { url } = await stage.start("chat");
    const ada = await enter(stage, url, "Ada");
    const again = await ada.context().newPage();
    // A copy of a window has a copy of its storage.
    const kept = await ada.evaluate(() => ({ ...sessionStorage }));
    await again.addInitScript((kept) => Object.assign(sessionStorage, kept), kept);
    await again.goto(url);
    await again.getByLabel("Message").waitFor();
    await eventually("the state", text(ada, "#status"), "closed: this name is used in another window");
    await eventually("who is there", texts(again, "#people li"), ["Ada (you)"]);
  },

  // ---- live_text ----

  async live_text_is_the_same_in_two_windows(stage) {
    const { url } = await stage.start("live_text");
    const one = await visit(stage, url, { phone: true });
    const other = await visit(stage, url, { dark: true });
    await one.getByRole("textbox").fill("Roses are red,\n");
    await eventually("the other", value(other), "Roses are red,\n");
    // Both type at once, one at the beginning and the other at the end.
    await one.getByRole("textbox").press("Control+Home");
    await other.getByRole("textbox").press("Control+End");
    await Promise.all([
      one.getByRole("textbox").pressSequentially("A poem 🌹: "),
      other.getByRole("textbox").pressSequentially("violets are blue."),
    ]);
    const whole = "A poem 🌹: Roses are red,\nviolets are blue.";
    await eventually("one", value(one), whole);
    await eventually("the other", value(other), whole);
    await eventually("the versions", async () => (await text(one, "#version")()) === (await text(other, "#version")()), true);
    await stage.screenshot(one, "live-text-phone");
    await stage.screenshot(other, "live-text-dark");
    const third = await visit(stage, url);
    await eventually("a third", value(third), whole);
  },

  async live_text_merges_what_was_typed_without_a_connection(stage) {
    const server = await stage.start("live_text");
    const link = await Link.to(server.port);
    const away = await visit(stage, link.url);
    const here = await visit(stage, server.url);
    await here.getByRole("textbox").fill("milk\nbread\n");
    await eventually("the window that will be away", value(away), "milk\nbread\n");
    link.cut();
    await eventually("that it is away", () => away.locator("#status").getAttribute("data-state"), "waiting");
    // One writes above and below of what the other writes between.
    await away.getByRole("textbox").press("Control+Home");
    await away.getByRole("textbox").pressSequentially("eggs\n");
    await away.getByRole("textbox").press("Control+End");
    await away.getByRole("textbox").pressSequentially("tea\n");
    await here.getByRole("textbox").press("Control+Home");
    await here.getByRole("textbox").press("ArrowDown");
    await here.getByRole("textbox").pressSequentially("rye ");
    await stage.screenshot(away, "live-text-disconnected");
    link.mend();
    const whole = "eggs\nmilk\nrye bread\ntea\n";
    for (const page of [away, here]) await eventually("the list", value(page), whole, 30_000);
    // The cursors are still where they were among the words.
    await Promise.all([
      away.getByRole("textbox").pressSequentially("honey"),
      here.getByRole("textbox").pressSequentially("and oat "),
    ]);
    for (const page of [away, here]) {
      await eventually("the list", value(page), "eggs\nmilk\nrye and oat bread\ntea\nhoney");
    }
    link.close();
  },
};

const value = (page) => () => page.getByRole("textbox").inputValue();
const said = (page) => () => page.locator(".log:not([hidden]) .said").allInnerTexts();
const tab = (page, name) => page.locator("#conversations").getByRole("button", { name });

const GATHERING = "Is everybody here?";
const lines = (page) => async () => (await texts(page, "#lines li")()).filter((line) => line !== GATHERING);

/** Waits until so many windows take part: one that is connected joins a moment later. */
async function gather(server, count) {
  do {
    server.type(GATHERING);
  } while ((await server.line()) !== `to ${count}, skipped by 0, too slow: 0`);
}

/** Starts a clock, whose page notes what it shows and when: who looks from outside may look too late. */
async function countDown(page, seconds) {
  await page.evaluate(() => {
    const left = document.getElementById("left");
    window.counted = [];
    const note = () => window.counted.push({ left: Number(left.textContent), at: performance.now() });
    new MutationObserver(note).observe(left, { childList: true });
  });
  await page.getByLabel("Seconds").fill(`${seconds}`);
  await page.getByRole("button", { name: "Start" }).click();
  await eventually("that it counts", async () => (await counted(page)).length > 0, true);
}

const counted = (page) => page.evaluate(() => window.counted);

async function enter(stage, url, name, look) {
  const page = await visit(stage, url, look);
  await enterAs(page, name);
  return page;
}

async function enterAs(page, name) {
  await page.getByLabel("Your name").fill(name);
  await page.getByRole("button", { name: "Enter" }).click();
  await page.getByLabel("Message").waitFor();
}

async function say(page, words) {
  await page.getByLabel("Message").fill(words);
  await page.getByRole("button", { name: "Send" }).click();
}

async function join(page, room) {
  await page.getByLabel("Name of a room").fill(room);
  await page.getByRole("button", { name: "Join" }).click();
  await eventually("the room", text(page, "#title"), `#${room.toLowerCase()}`);
}

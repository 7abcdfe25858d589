import { connect } from "/connect.js";

const [left, news, seconds, stop, freeze] = ["left", "news", "seconds", "stop", "freeze"].map((id) =>
  document.getElementById(id),
);

const connection = connect(document.getElementById("status"), {
  opened() {
    // The countdown was the connection's, and went with it.
    left.textContent = "–";
    news.textContent = "";
  },
  received(tick) {
    left.textContent = tick.seconds_left;
    if (tick.seconds_left === 0) news.textContent = "Time is up.";
    else if (tick.skipped > 0) news.textContent = `This window missed ${tick.skipped} ticks.`;
    connection.send("seen");
  },
});

document.querySelector("form").onsubmit = (event) => {
  event.preventDefault();
  news.textContent = "";
  connection.send({ start: seconds.valueAsNumber });
};

stop.onclick = () => connection.send("stop");

// What a page does that is too busy to read.
freeze.onclick = () => {
  const end = performance.now() + 3000;
  while (performance.now() < end);
};

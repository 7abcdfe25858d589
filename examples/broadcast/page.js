import { connect } from "/connect.js";

const MOST_LINES = 200;
const lines = document.getElementById("lines");

connect(document.getElementById("status"), {
  received(line) {
    const item = document.createElement("li");
    item.className = "said";
    item.textContent = line;
    lines.append(item);
    while (lines.childElementCount > MOST_LINES) lines.firstElementChild.remove();
    item.scrollIntoView({ block: "nearest" });
  },
});

import { connect } from "/connect.js";

const [total, users, number, less, more] = ["total", "users", "number", "less", "more"].map((id) =>
  document.getElementById(id),
);

const connection = connect(document.getElementById("status"), {
  received(count) {
    total.textContent = count.total.toLocaleString();
    users.textContent = count.users === 1 ? "You are alone here." : `${count.users} windows are here.`;
  },
});

less.onclick = () => connection.send({ add: -1 });
more.onclick = () => connection.send({ add: 1 });
document.querySelector("form").onsubmit = (event) => {
  event.preventDefault();
  connection.send({ add: number.valueAsNumber });
};

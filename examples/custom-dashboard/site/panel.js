// Asks the API for the queues every second and fills the table. No inline script: the page's policy forbids that.
const state = document.getElementById("state");
const rows = document.getElementById("queues");

async function refresh() {
  try {
    const answer = await fetch("/api/v1/queues");
    if (!answer.ok) throw new Error(`the API answered ${answer.status}`);
    const { data } = await answer.json();
    rows.replaceChildren(...data.map((queue) => {
      const row = document.createElement("tr");
      for (const value of [queue.name, queue.ready, queue.processing, queue.dead_letter]) {
        row.insertCell().textContent = value;
      }
      return row;
    }));
    state.textContent = new Date().toLocaleTimeString();
  } catch (error) {
    state.textContent = error.message;
  }
  setTimeout(refresh, 1000);
}

refresh();

// A page that is served asks whether there is news, and shows itself anew when there is.

async function follow({ stamp, every }) {
  const stale = document.getElementById("stale");
  let failures = 0;
  for (;;) {
    await new Promise((done) => setTimeout(done, every * 1000));
    try {
      const answer = await fetch("stamp", { cache: "no-store", credentials: "same-origin" });
      if (!answer.ok) throw new Error(String(answer.status));
      failures = 0;
      if ((await answer.json()).stamp !== stamp) { location.reload(); return; }
    } catch {
      failures += 1;
    }
    stale.hidden = failures < 2;
    stale.textContent = failures < 2 ? "" : "The watch does not answer; what is shown may be out of date.";
  }
}

const { live } = JSON.parse(document.getElementById("head").textContent);
if (live) follow(live);

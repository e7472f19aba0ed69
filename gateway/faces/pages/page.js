"use strict";
(() => {
  const SECONDS = 5;
  const state = document.getElementById("state");

  async function copy(button) {
    const code = button.parentElement.querySelector("code");
    let done = false;
    try {
      await navigator.clipboard.writeText(code.textContent);
      done = true;
    } catch {
      // Without TLS there is no clipboard: what is marked can be copied by hand.
      const range = document.createRange();
      range.selectNodeContents(code);
      const chosen = window.getSelection();
      chosen.removeAllRanges();
      chosen.addRange(range);
      done = document.execCommand("copy");
    }
    button.textContent = done ? "Copied" : "Marked";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }

  function sign(badge, to) {
    badge.className = "badge " + to.tone;
    if (badge.textContent !== to.words) badge.textContent = to.words;
  }

  function list(place, texts, coded) {
    place.replaceChildren(...texts.map((text) => {
      const item = document.createElement("li");
      const inner = coded ? item.appendChild(document.createElement("code")) : item;
      inner.textContent = text;
      return item;
    }));
  }

  function tell(place, text) {
    if (place.textContent !== text) place.textContent = text;
  }

  function show(page) {
    sign(state.querySelector(".badge"), page.sign);
    const words = [page.reason, page.looked && `Looked up at ${page.looked}.`,
      page.next_look && `Next look at ${page.next_look}.`];
    tell(document.getElementById("about"), words.filter(Boolean).join(" "));
    list(document.getElementById("remarks"), page.remarks, false);
    const cards = document.querySelectorAll("article");
    // Other records than those shown: a key was changed, or the way the domain is used.
    const known = [...cards].map((card) => card.querySelector("dl").textContent).join();
    if (page.cards.length !== cards.length || !page.cards.every((card) => known.includes(card.value))) {
      location.reload();
      return;
    }
    for (const card of page.cards) {
      const place = document.getElementById(card.key);
      sign(place.querySelector(".badge"), card.sign);
      tell(place.querySelector(".hint"), card.hint || "");
      place.querySelector(".found-title").hidden = card.found.length === 0;
      list(place.querySelector(".found"), card.found, true);
    }
  }

  async function refresh() {
    try {
      const answer = await fetch(location.pathname.replace(/\/$/, "") + "/state", { cache: "no-store" });
      if (answer.status === 404) {
        location.reload();
        return;
      }
      if (answer.ok) show(await answer.json());
    } catch {
      // Offline for a while: what is shown stays, and the next time may go well.
    }
  }

  for (const button of document.querySelectorAll("button")) button.addEventListener("click", () => copy(button));
  if (state) {
    setInterval(() => { if (!document.hidden) refresh(); }, SECONDS * 1000);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  }
})();

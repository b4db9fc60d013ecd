// Pages are whole without this. With it they renew themselves when something has changed, and ids can be copied.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break; // not a secure place
  button.hidden = false;
  button.addEventListener("click", async () => {
    const words = button.textContent;
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = button.dataset.done;
    setTimeout(() => { button.textContent = words; }, 1500);
  });
}

if (document.body.dataset.live === "yes" && "EventSource" in window) {
  const main = document.querySelector("main");
  const sign = document.querySelector("[data-live-sign]");
  let asked = false, again = false, form = false;

  // What a person has begun to write, or has marked, is theirs: the page waits.
  main.addEventListener("input", () => { form = true; });
  const busy = () => form || document.hidden || String(getSelection()) !== "";

  const renew = async () => {
    if (asked) { again = true; return; }
    if (busy()) return;
    asked = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok && !busy()) {
        const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
        const place = main.contains(document.activeElement) ? path(document.activeElement) : null;
        const open = [...main.querySelectorAll("details")].map((one) => one.open);
        if (next) {
          main.replaceChildren(...next.childNodes);
          [...main.querySelectorAll("details")].forEach((one, number) => { one.open = open[number] ?? one.open; });
          if (place) main.querySelector(place)?.focus({ preventScroll: true });
        }
      }
    } finally {
      setTimeout(() => { asked = false; if (again) { again = false; renew(); } }, 1500);
    }
  };

  // Where an element stands, so that the keyboard stays there.
  const path = (element) => {
    const steps = [];
    for (let at = element; at && at !== main; at = at.parentElement) {
      steps.unshift(`:nth-child(${[...at.parentElement.children].indexOf(at) + 1})`);
    }
    return steps.length ? `:scope > ${steps.join(" > ")}` : null;
  };

  const events = new EventSource("/events");
  events.onopen = () => { sign.hidden = false; };
  events.onerror = () => { sign.hidden = true; };
  events.onmessage = renew;
  events.addEventListener("changed", renew);
  document.addEventListener("visibilitychange", renew);
}

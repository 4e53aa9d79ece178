// Keeps time links on the page, shows the sentence and the chapter that sound. The page works
// without it: the links then open the media file at that time.
"use strict";

const player = document.getElementById("player");
const sentences = [...document.querySelectorAll("a.said")];
const chapters = [...document.querySelectorAll("a.chapter")];
const startOf = (link) => Number(link.dataset.start);

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-start]");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  player.currentTime = startOf(link);
  player.play().catch(() => {}); // A browser may refuse to play; the place is kept all the same.
});

function mark(links, time, untilEnd) {
  let now = null;
  for (const link of links) {
    if (startOf(link) > time + 0.01) break;
    now = link;
  }
  if (now && untilEnd && time > Number(now.dataset.end) + 1) now = null;
  for (const link of links) {
    if (link === now) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

player.addEventListener("timeupdate", () => {
  mark(sentences, player.currentTime, true);
  mark(chapters, player.currentTime, false);
});

// An address such as …/index.html#t=83 opens the page at that time.
const wanted = /^#t=(\d+(?:\.\d+)?)$/.exec(location.hash);
if (wanted) player.currentTime = Number(wanted[1]);

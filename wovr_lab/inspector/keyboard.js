// Keys press the page's buttons by their id; typing into fields and keys that a focused control uses stay the browser's.
const aliases = { ArrowUp: "w", ArrowDown: "s", ArrowLeft: "a", ArrowRight: "d", " ": "space", Enter: "enter" };
const typing = "input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable], [role=listbox]";
let answered = true; // a held key repeats as fast as the page answers, and never piles up

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest(typing)) return;
  if ([" ", "Enter"].includes(event.key) && event.target.closest("button, a, input, summary")) return;
  const key = aliases[event.key] ?? event.key.toLowerCase();
  const button = /^[a-z]+$/.test(key) ? document.getElementById(`key-${key}`) : null;
  if (!button) return;
  event.preventDefault();
  if (event.repeat && !answered) return;
  answered = false;
  button.click();
});
document.addEventListener("keyup", () => (answered = true));
new MutationObserver((changes) => {
  if (changes.some(({ target }) => (target.closest ? target : target.parentElement)?.closest("#readout"))) answered = true;
}).observe(document.documentElement, { childList: true, characterData: true, subtree: true });

// a button clicked by mouse gives the focus back, so that Space means the gripper again
document.addEventListener("pointerup", (event) => {
  const button = event.target.closest("[id^=key-]");
  if (button) setTimeout(() => button.blur());
});

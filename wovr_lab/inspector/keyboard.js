// Keys press the page's buttons by their id; typing into fields and Space on a focused button stay the browser's.
const aliases = { ArrowUp: "w", ArrowDown: "s", ArrowLeft: "a", ArrowRight: "d", " ": "space" };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable], [role=listbox]")) return;
  if (event.key === " " && event.target.closest("button, a")) return;
  const key = aliases[event.key] ?? event.key.toLowerCase();
  const button = /^[a-z]+$/.test(key) ? document.getElementById(`key-${key}`) : null;
  if (!button) return;
  event.preventDefault();
  button.click();
});

// a button clicked by mouse gives the focus back, so that Space means the gripper again
document.addEventListener("pointerup", (event) => {
  const button = event.target.closest("[id^=key-]");
  if (button) setTimeout(() => button.blur());
});

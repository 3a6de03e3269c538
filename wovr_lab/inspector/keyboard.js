// Keys drive from anywhere on the page; typing into fields and keys that a focused control uses stay the browser's.
const aliases = { ArrowUp: "w", ArrowDown: "s", ArrowLeft: "a", ArrowRight: "d", " ": "space", Enter: "enter" };
const typing = "input:not([type=checkbox]):not([type=radio]):not([type=range]), textarea, select, [contenteditable], [role=listbox], dialog[open]";

function listen(inspector) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest(typing)) return;
    if ([" ", "Enter"].includes(event.key) && event.target.closest("button, a, input:not([type=range]), summary")) return;
    if (event.key.startsWith("Arrow") && event.target.closest("[role=tab], input[type=radio], input[type=range]")) return;
    const key = aliases[event.key] ?? event.key.toLowerCase();
    if (inspector.press(key, event.shiftKey, event.repeat)) event.preventDefault();
  });
  // a button clicked by mouse gives the focus back, so that Space means the gripper again
  document.addEventListener("pointerup", (event) => {
    const button = event.target.closest("[id^=key-], #inspector button, #scrub, .branch");
    if (button) setTimeout(() => button.blur());
  });
  listenToGamepad(inspector);
}

const PADS = { 12: "w", 13: "s", 14: "a", 15: "d", 3: "r", 0: "f", 4: "q", 5: "e", 2: "space", 1: "z", 9: "enter", 8: "x" };

// A gamepad's buttons: directions move, Y and A lift and lower, X is the gripper, B goes back, Back records.
function listenToGamepad(inspector) {
  const held = new Set();
  const look = () => {
    for (const pad of navigator.getGamepads()) {
      pad?.buttons.forEach((button, index) => {
        if (button.pressed && PADS[index]) inspector.press(PADS[index], false, held.has(index));
        held[button.pressed ? "add" : "delete"](index);
      });
    }
    if (navigator.getGamepads().some(Boolean)) requestAnimationFrame(look);
  };
  window.addEventListener("gamepadconnected", look);
}

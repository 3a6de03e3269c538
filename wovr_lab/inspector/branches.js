// The branch map: every branch as a row that leaves its parent where they part, with the last picture of each.
const ROW = 50, STEP = 11, MAP_LEFT = 6;

// For every branch, the earlier one that it shares most steps with, and how many.
function parentsOf(branches, roots) {
  const names = Object.keys(branches);
  return names.map((name, row) => {
    let [parent, shared] = [null, 0];
    names.slice(0, row).forEach((other) => {
      if (roots[other] !== roots[name]) return;
      let same = 0;
      while (same < branches[name].length && branches[name][same] === branches[other][same]) same += 1;
      if (parent === null || same > shared) [parent, shared] = [other, same];
    });
    return { name, row, parent, shared, length: branches[name].length };
  });
}

function lineTo(node, rows, reach) {
  const y = node.row * ROW + ROW / 2;
  const x = (steps) => MAP_LEFT + steps * reach;
  const from = node.parent === null ? `M${x(0)} ${y}` : `M${x(node.shared)} ${rows[node.parent].row * ROW + ROW / 2}V${y}`;
  const dots = Array.from({ length: node.length - node.shared }, (_, k) => `<circle cx="${x(node.shared + k + 1)}" cy="${y}" r="2.5"/>`);
  return `<path d="${from}H${x(node.length)}"/>${dots.join("")}`;
}

function thumbnail(step, side) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  if (step?.imagined) paint(canvas, [step.imagined, step.n - 1], side);
  return canvas;
}

function drawBranches(host, told, steps, side, words, go) {
  const nodes = parentsOf(told.branches, told.roots);
  const rows = Object.fromEntries(nodes.map((node) => [node.name, node]));
  const longest = Math.max(1, ...nodes.map((node) => node.length));
  const reach = Math.min(STEP, Math.max(2, (host.clientWidth - 190) / longest));
  const lines = nodes.map((node) => lineTo(node, rows, reach)).join("");
  host.innerHTML = `<svg width="100%" height="${nodes.length * ROW}" aria-hidden="true">${lines}</svg>`;
  for (const node of nodes) {
    const last = steps[told.branches[node.name].at(-1)];
    const outcome = last?.outcomes.length ? words.outcomes[last.outcomes.at(-1)] : words.outcomes[0];
    const button = document.createElement("button");
    button.type = "button";
    button.className = "branch";
    button.style.top = `${node.row * ROW + 3}px`;
    button.style.left = `${MAP_LEFT + node.length * reach + 6}px`;
    if (node.name === told.branch) button.setAttribute("aria-current", "true");
    const label = document.createElement("span");
    label.textContent = `${node.name} (${node.length}): ${outcome}`;
    button.append(thumbnail(last, side), label);
    button.addEventListener("click", () => go(node.name, node.length));
    host.append(button);
  }
}

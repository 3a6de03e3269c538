// The timeline: what the reward believes of both worlds, outcomes, errors and uncertainty, frame by frame, as SVG.
const LEFT = 46, RIGHT = 10, TOP = 16, BELIEF = 84, BAND = 14, ERRORS = 56;
const SPAN = { belief: [TOP, TOP + BELIEF], band: TOP + BELIEF + 5, errors: [TOP + BELIEF + BAND + 14, TOP + BELIEF + BAND + 14 + ERRORS] };
const HEIGHT = SPAN.errors[1] + 22;
const PATTERNS = `<defs>
  <pattern id="hatch-2" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
    <rect width="6" height="6" class="fill-false"/><rect width="2" height="6" fill="#fff" opacity=".55"/></pattern>
  <pattern id="hatch-3" width="6" height="6" patternUnits="userSpaceOnUse">
    <rect width="6" height="6" class="fill-missed"/><circle cx="3" cy="3" r="1.4" fill="#000" opacity=".6"/></pattern></defs>`;
const FILLS = ["var(--open)", "var(--same)", "url(#hatch-2)", "url(#hatch-3)"];

const scaled = (value, [low, high], [top, bottom]) => bottom - ((Math.min(high, Math.max(low, value)) - low) / (high - low)) * (bottom - top);

function curve(values, y, kind) {
  let d = "";
  values.forEach((value, k) => {
    if (value !== null) d += `${d && values[k - 1] !== null ? "L" : "M"}${values.x(k + 1).toFixed(1)} ${y(value).toFixed(1)}`;
  });
  return d ? `<path d="${d}" class="${kind}"/>` : "";
}

// One list over all actions of what the steps tell under `name`.
function along(steps, name, x) {
  const values = steps.flatMap((step) => (step[name] ? step[name] : Array(step.n).fill(null)));
  return Object.assign(values, { x });
}

function bandOf(steps, x) {
  const outcomes = steps.flatMap((step) => step.outcomes);
  let [begin, drawn] = [0, ""];
  outcomes.forEach((outcome, k) => {
    if (outcomes[k + 1] === outcome) return;
    drawn += `<rect x="${x(begin)}" y="${SPAN.band}" width="${x(k + 1) - x(begin)}" height="${BAND}" fill="${FILLS[outcome]}"/>`;
    begin = k + 1;
  });
  return drawn;
}

function eventsOf(steps, keyframes, x) {
  let [action, before, drawn] = [0, steps[0] && JSON.stringify(steps[0].switches), ""];
  const upright = (at, word) => `<path d="M${x(at)} ${TOP}V${SPAN.errors[1]}" class="event"/>
    <text x="${x(at) + 3}" y="${TOP + 9}" class="small">${word}</text>`;
  for (const step of steps) {
    const switches = JSON.stringify(step.switches);
    const words = [step.kind === "re-anchor" && "re-anchored", switches !== before && "switched"].filter(Boolean);
    if (words.length) drawn += upright(action, words.join(", "));
    [action, before] = [action + step.n, switches];
  }
  return drawn + keyframes.map((at) => `<path d="M${x(at)} ${TOP - 7}l4 5l-4 5l-4 -5z" class="keyframe"><title>keyframe</title></path>`).join("");
}

function shadeOf(steps, horizon, x, last) {
  if (horizon === null) return "";
  let [action, depth, begins] = [0, 0, []];
  for (const step of steps) {
    if (step.n === 0) depth = 0; // re-anchored
    const over = Math.max(0, Math.min(step.n, depth + step.n - horizon));
    if (over) begins.push([action + step.n - over, action + step.n]);
    [action, depth] = [action + step.n, depth + step.n];
  }
  return begins.map(([from, to]) => `<rect x="${x(from)}" y="${TOP}" width="${x(to) - x(from)}" height="${BELIEF}" class="beyond"/>`).join("")
    + (horizon < last ? `<text x="${x(horizon) + 3}" y="${TOP + BELIEF - 4}" class="small">beyond the measured horizon (${horizon})</text>` : "");
}

function uncertaintyOf(steps, x) {
  const most = Math.max(...steps.map((step) => step.uncertainty), 1e-9);
  let [action, drawn] = [0, ""];
  for (const step of steps) {
    const y = scaled(step.uncertainty, [0, 1.4 * most], SPAN.errors);
    drawn += `<rect x="${x(action) + 1}" y="${y}" width="${Math.max(0, x(action + step.n) - x(action) - 2)}" height="${SPAN.errors[1] - y}" class="uncertainty"><title>uncertainty ${step.uncertainty.toFixed(3)} (std over noise seeds)</title></rect>`;
    action += step.n;
  }
  return drawn;
}

function axes(x, last, threshold, belief, most) {
  const every = [8, 16, 40, 80, 160, 400].find((tick) => last / tick < 13) ?? 400;
  let drawn = "";
  for (let at = 0; at <= last; at += every) drawn += `<text x="${x(at)}" y="${HEIGHT - 6}" text-anchor="middle">${at}</text>`;
  for (const p of [0, 0.5, 1]) drawn += `<text x="${LEFT - 6}" y="${belief(p) + 4}" text-anchor="end">${p}</text><path d="M${LEFT} ${belief(p)}H${x(last)}" class="grid"/>`;
  const [top, bottom] = SPAN.errors;
  drawn += `<text x="${LEFT - 6}" y="${top + 8}" text-anchor="end">${most} cm</text><text x="${LEFT - 6}" y="${bottom + 3}" text-anchor="end">0</text><path d="M${LEFT} ${bottom}H${x(last)}" class="grid"/>`;
  drawn += `<path d="M${LEFT} ${belief(threshold)}H${x(last)}" class="threshold"/><text x="${x(0) + 3}" y="${belief(threshold) + 11}" class="small">threshold ${threshold.toFixed(2)}</text>`;
  return drawn;
}

const LEGEND = `<div class="legend" aria-hidden="true"><span>success probability:</span><span class="key imagined">imagined</span><span class="key real">real</span>
  <span>error:</span><span class="key cube">cube</span><span class="key hand">hand</span><span class="key grey">uncertainty</span></div>`;

function drawTimeline(host, told, steps, total) {
  const width = Math.max(host.clientWidth, 200);
  const last = Math.max(total, 16);
  const x = (frame) => LEFT + (frame / last) * (width - LEFT - RIGHT);
  const belief = (p) => scaled(p, [0, 1], SPAN.belief);
  const worst = Math.max(...steps.flatMap((step) => [...(step.cube ?? []), ...(step.hand ?? [])]), 0);
  const most = [5, 10, 20, 40].find((cm) => worst <= cm) ?? 80;
  const error = (cm) => scaled(cm, [0, most], SPAN.errors);
  host.innerHTML = `${LEGEND}<svg width="${width}" height="${HEIGHT}" viewBox="0 0 ${width} ${HEIGHT}" role="img"
    aria-label="${total} actions: success probability, outcome and error by action">${PATTERNS}
    ${shadeOf(steps, told.horizon, x, last)}${axes(x, last, told.threshold, belief, most)}
    ${uncertaintyOf(steps, x)}${bandOf(steps, x)}
    ${curve(along(steps, "judged", x), belief, "line real")}${curve(along(steps, "believed", x), belief, "line imagined")}
    ${curve(along(steps, "hand", x), error, "line hand")}${curve(along(steps, "cube", x), error, "line cube")}
    ${eventsOf(steps, told.keyframes, x)}<path id="standing" class="standing"/><path id="cursor" class="cursor"/></svg>`;
  const frameAt = (event) => {
    const at = event.clientX - host.querySelector("svg").getBoundingClientRect().left;
    return Math.max(0, Math.min(total, Math.round(((at - LEFT) / (width - LEFT - RIGHT)) * last)));
  };
  const upright = (id, frame) => host.querySelector(`#${id}`).setAttribute("d", `M${x(frame)} ${TOP - 4}V${SPAN.errors[1] + 4}`);
  return { frameAt, upright };
}

// The pictures: frames of the current branch on canvases of their own size, exact, with marks drawn over them.
const byId = (id) => document.getElementById(id);

function decoded(url) {
  const image = new Image();
  image.src = url;
  return image.decode().then(() => image);
}

// A step with its strips decoded; a strip holds its n frames side by side.
async function withPictures(step) {
  const [imagined, real] = await Promise.all(
    [step.imagined, step.real].map((url) => (url ? decoded(url) : null)));
  return { ...step, imagined, real };
}

// The frames of a branch: frame 0 is where it began, then one an action.
function framesOf(first, steps) {
  const frames = [{ imagined: [first, 0], real: [first, 0], step: null, index: 0, ends: 0 }];
  steps.forEach((step, number) => {
    for (let index = 0; index < step.n; index += 1) {
      frames.push({ imagined: [step.imagined, index], real: [step.real, index], step, index, ends: number + 1 });
    }
    frames[frames.length - 1].after = number + 1; // steps that are over when this frame is reached
  });
  return frames;
}

function paint(canvas, [strip, index], side) {
  if (canvas.width !== side) canvas.width = canvas.height = side;
  canvas.getContext("2d", { willReadFrequently: true }).drawImage(strip, index * side, 0, side, side, 0, 0, side, side);
}

const luminance = (data, k) => 0.299 * data[k] + 0.587 * data[k + 1] + 0.114 * data[k + 2];

// Pixels of the third picture from those of the two worlds.
const blends = {
  error(a, b, k, gain) { // grey, turning orange and then yellow where the luminance errs
    const grey = 0.25 * luminance(b, k) + 20;
    const heat = Math.min(1, (gain * Math.abs(luminance(a, k) - luminance(b, k))) / 128);
    return [grey + (255 - grey) * Math.min(1, 1.6 * heat), grey + (230 - grey) * heat * heat, grey * (1 - heat)];
  },
  difference: (a, b, k, gain) => [0, 1, 2].map((c) => Math.min(255, gain * Math.abs(a[k + c] - b[k + c]))),
  onion: (a, b, k) => [0, 1, 2].map((c) => (a[k + c] + b[k + c]) / 2),
};

function paintThird(view, gain, beat) {
  const [imagined, real, third] = ["imagined", "real", "third"].map(byId);
  const side = imagined.width;
  if (third.width !== side) third.width = third.height = side;
  const [a, b] = [imagined, real].map((canvas) => canvas.getContext("2d").getImageData(0, 0, side, side).data);
  const made = new ImageData(side, side);
  const shown = view === "flicker" ? (beat ? a : b) : null;
  for (let k = 0; k < made.data.length; k += 4) {
    const pixel = shown ? [shown[k], shown[k + 1], shown[k + 2]] : blends[view](a, b, k, gain);
    made.data.set([...pixel, 255], k);
  }
  third.getContext("2d").putImageData(made, 0, 0);
}

const path = (d, kind) => `<path d="${d}" class="halo"/><path d="${d}" class="${kind}"/>`;
const plus = ([x, y], r = 0.035) => `M${x - r} ${y}h${2 * r}M${x} ${y - r}v${2 * r}`;
const times = ([x, y], r = 0.026) => `M${x - r} ${y - r}l${2 * r} ${2 * r}M${x + r} ${y - r}l${-2 * r} ${2 * r}`;

// Brackets round two finger tips.
function brackets([[x1, y1], [x2, y2]]) {
  const length = Math.hypot(x2 - x1, y2 - y1) || 1;
  const [u, v] = [(-(y2 - y1) / length) * 0.04, ((x2 - x1) / length) * 0.04];
  return [[x1, y1], [x2, y2]].map(([x, y]) => `M${x - u} ${y - v}l${2 * u} ${2 * v}`).join("") + `M${x1} ${y1}L${x2} ${y2}`;
}

function marksOf(frame, ghost) {
  const crosses = frame.step?.crosses;
  const marks = crosses
    ? crosses.imagined[frame.index].map((at) => path(plus(at), "imagined")).join("")
      + crosses.real[frame.index].map((at) => path(times(at), "real")).join("")
    : "";
  return marks + (ghost ? path(brackets(ghost.imagined), "imagined") : "");
}

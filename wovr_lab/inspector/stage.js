// The page's one script object: takes what the server tells, plays the frames, and says what a person did.
const RATE = 12, AHEAD = 4, PAUSE = 1500; // frames a second; frames left at which a held key goes on; ms between rounds
const GLYPHS = { open: "○", "same outcome": "✓", "false success": "✗", "missed success": "!", faithful: "✓", drifting: "~", lost: "✗" };
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

class Inspector {
  constructor(element, trigger) {
    Object.assign(this, { trigger, steps: {}, frames: [], told: null, rail: [], words: null });
    Object.assign(this, { cursor: 0, free: false, awaiting: 0, film: null, hovered: null, order: Promise.resolve() });
    const click = (id, act) => byId(id).addEventListener("click", act);
    click("play", () => this.playOrPause());
    click("drive", () => this.driveFromHere());
    click("help-open", () => byId("help").showModal());
    byId("scrub").addEventListener("input", () => this.goTo(Number(byId("scrub").value), false));
    byId("scrub").addEventListener("change", () => this.goTo(Number(byId("scrub").value), true));
    for (const id of ["view", "gain", "crosses"]) byId(id).addEventListener("input", () => this.draw());
    document.addEventListener("click", (event) => {
      const key = event.target.closest("[data-key]");
      if (key) this.press(key.dataset.key, false, false);
    });
    addEventListener("popstate", (event) => event.state && this.say({ do: "go", ...event.state }));
    addEventListener("resize", () => this.drawAll());
    setInterval(() => byId("view").value === "flicker" && this.draw(), 250);
    listen(this);
  }

  // ---- what the server tells: one answer after the other, each when its pictures are decoded
  take(text) {
    this.order = this.order.then(() => this.show(JSON.parse(text)))
      .catch((error) => setTimeout(() => { throw error; })); // said as any error is, and the next answer is shown
  }

  async show(told) {
    const decodedNews = await Promise.all(Object.entries(told.news).map(async ([key, step]) => [key, await withPictures(step)]));
    const news = Object.fromEntries(decodedNews);
    const line = told.branches[told.branch];
    const before = this.told;
    const acted = before && told.position > 0 && news[line[told.position - 1]] && told.position === line.length;
    Object.assign(this.steps, news);
    Object.assign(this, { told, awaiting: Math.max(0, this.awaiting - 1), first: await decoded(told.first) });
    if (told.rail) [this.rail, this.words] = [told.rail, told.words];
    this.line = line.map((number) => this.steps[number]);
    if (told.pending) this.line = [...this.line.slice(0, told.position), await withPictures(told.pending)];
    this.frames = framesOf(this.first, this.line);
    this.follow(before, acted);
    this.remember(before);
    byId("camera").src = told.camera;
    if (byId("readout")) byId("readout").innerHTML = told.readout;
    if (told.rail) this.drawRail();
    this.drawAll();
    document.dispatchEvent(new CustomEvent("inspector-shown"));
  }

  // Where the pictures go on after an answer: a film from its beginning, a new chunk frame by frame, or just there.
  follow(before, acted) {
    const { plays, pending, branch, position } = this.told;
    const end = this.frameAfter(position);
    const isSame = before?.branch === branch;
    if (plays) return this.play(0, this.total, true);
    if (pending) return this.play(end, this.total, false);
    if (acted) return this.play(Math.min(this.film && !this.film.round ? this.cursor : Infinity, end - this.line.at(-1).n), end, false);
    if (isSame && before.position === position && this.film?.round) return undefined; // a switch, say
    if (isSame && this.free && !this.film && this.stepsAt(this.cursor) === position) return undefined; // within a chunk
    this.stop();
    [this.cursor, this.free] = [end, false];
    return undefined;
  }

  // The address names the session and where it stands, so that reload and "back" keep everything.
  remember(before) {
    const { session, branch, position, link } = this.told;
    const query = new URLSearchParams({ session, branch, step: position });
    const theme = new URLSearchParams(location.search).get("__theme");
    if (theme) query.set("__theme", theme);
    const state = { branch, at: position };
    const same = before && before.branch === branch && before.position === position;
    const back = history.state && history.state.branch === branch && history.state.at === position;
    history[before && !same && !back ? "pushState" : "replaceState"](state, "", `${location.pathname}?${query}`);
    if (this.told.gone && sessionStorage.getItem("wovr-link")) {
      location.replace(`${location.pathname}?${sessionStorage.getItem("wovr-link")}`);
    } else if (link) sessionStorage.setItem("wovr-link", link);
  }

  // ---- what a person does
  say(event) {
    this.awaiting += 1;
    this.trigger("input", event);
  }

  // A key by its name; true if it means something here. A held key goes on as fast as the pictures flow.
  press(key, shifted, repeated) {
    if (key === "?") return byId("help").showModal(), true;
    if (key === "p") return this.playOrPause(), true;
    if (key === "," || key === ".") return this.goTo(Math.floor(this.cursor) + (key === "." ? 1 : -1), true), true;
    if (key === "x" && !repeated) return this.say({ do: "record" }), true;
    if (/^[1-9]$/.test(key)) return Number(key) <= this.rail.length && this.open(Number(key) - 1);
    if (!this.told || (!document.querySelector(`[data-key="${key}"]`) && key !== "enter")) return false;
    if (repeated && (this.awaiting || (this.film && !this.film.round && this.film.to - this.cursor > AHEAD))) return true;
    const deed = { z: shifted ? "redo" : "undo", enter: "commit" }[key] ?? "key";
    const at = this.free ? this.stepsAt(this.cursor) : null;
    if (this.film?.round) this.stop();
    this.free = false;
    this.say({ do: deed, key, at });
    return true;
  }

  open(index) {
    if (this.told.scene === index) this.play(0, this.total, true);
    else this.say({ do: "scene", index });
    return true;
  }

  go(branch, at) {
    this.say({ do: "go", branch, at });
  }

  // Shows a frame; `settles` tells the server, too, so that the numbers follow.
  goTo(frame, settles) {
    this.stop();
    this.cursor = Math.max(0, Math.min(this.total, frame));
    this.free = true;
    this.draw();
    if (settles) this.go(this.told.branch, this.stepsAt(this.cursor));
  }

  driveFromHere() {
    this.goTo(this.frameAfter(this.stepsAt(Math.floor(this.cursor))), true);
    byId("key-w")?.scrollIntoView({ block: "nearest" });
    byId("drive").hidden = true;
  }

  // ---- playing
  get total() {
    return this.frames.length - 1;
  }

  frameAfter(position) {
    return this.line.slice(0, position).reduce((sum, step) => sum + step.n, 0);
  }

  // Steps that are over at a frame.
  stepsAt(frame) {
    const own = this.told.pending ? this.told.position : this.line.length;
    let [passed, count] = [0, 0];
    while (count < own && passed + this.line[count].n <= frame) passed += this.line[count++].n;
    return count;
  }

  play(from, to, round) {
    this.stop();
    [this.cursor, this.free] = [round ? from : Math.min(to, Math.floor(from) + 1), round]; // a key's first new frame at once
    if (calm()) {
      this.cursor = to;
      return;
    }
    this.film = { to, round, at: performance.now() };
    const beat = (now) => {
      const film = this.film;
      if (!film || film.over) return;
      const left = to - this.cursor;
      if (left <= 0) return round ? this.rest(to) : this.stop();
      const passed = ((now - film.at) / 1000) * RATE * Math.max(1, left / 8);
      if (passed >= 1) {
        this.cursor = Math.min(to, this.cursor + Math.floor(passed));
        film.at = now;
        this.draw();
      }
      film.next = requestAnimationFrame(beat);
    };
    this.film.next = requestAnimationFrame(beat);
    byId("play").textContent = "❚❚";
    byId("play").ariaLabel = "Pause";
  }

  rest(to) {
    this.film.timer = setTimeout(() => this.play(0, to, true), PAUSE);
  }

  stop() {
    if (this.film) {
      this.film.over = true;
      cancelAnimationFrame(this.film.next);
      clearTimeout(this.film.timer);
    }
    this.film = null;
    byId("play").textContent = "▶";
    byId("play").ariaLabel = "Play";
  }

  playOrPause() {
    if (this.film) return this.stop();
    if (this.total) this.play(this.cursor >= this.total ? 0 : Math.floor(this.cursor), this.total, true);
    return undefined;
  }

  // ---- drawing
  drawAll() {
    if (!this.told) return;
    byId("task").textContent = this.told.task;
    byId("caption").textContent = this.told.caption;
    byId("drive").hidden = !this.told.recorded;
    byId("resolution").textContent = `(model input, ${this.first.height} × ${this.first.height})`;
    byId("scrub").max = this.total;
    [...byId("rail").children].forEach((button, index) => button.setAttribute("aria-current", index === this.told.scene));
    this.timeline = drawTimeline(byId("timeline"), this.told, this.line, this.total);
    const host = byId("timeline").querySelector("svg");
    host.addEventListener("pointermove", (event) => this.hover(this.timeline.frameAt(event)));
    host.addEventListener("pointerleave", () => this.hover(null));
    host.addEventListener("click", (event) => this.goTo(this.timeline.frameAt(event), true));
    this.drawMap();
    this.draw();
  }

  drawMap() {
    if (this.told && byId("map")) {
      drawBranches(byId("map"), this.told, this.steps, this.first.height, this.words, (name, at) => this.go(name, at));
    }
  }

  hover(frame) {
    this.hovered = frame;
    this.draw();
  }

  draw() {
    if (!this.told) return;
    const at = this.hovered ?? Math.floor(this.cursor);
    const frame = this.frames[Math.min(at, this.total)];
    const isPreview = Boolean(this.told.pending) && at > this.frameAfter(this.told.position);
    paint(byId("imagined"), frame.imagined, this.first.height);
    paint(byId("real"), (isPreview ? this.frames[this.frameAfter(this.told.position)] : frame).real, this.first.height);
    this.drawThird(at);
    const ends = at === this.frameAfter(this.told.position) && !isPreview;
    const marks = byId("crosses").checked && !isPreview ? marksOf(frame, ends ? this.told.ghost : null) : "";
    document.querySelectorAll(".marks").forEach((svg) => (svg.innerHTML = marks));
    byId("pane-imagined").classList.toggle("preview", isPreview);
    document.querySelector("#pane-imagined .tag").hidden = !isPreview;
    this.drawBadges(frame, isPreview);
    byId("scrub").value = at;
    byId("frame").textContent = this.wordsOf(frame, at);
    this.timeline?.upright("cursor", at);
    this.timeline?.upright("standing", this.frameAfter(this.told.position));
  }

  drawThird(at) {
    const view = byId("view").value;
    byId("third").hidden = view === "camera";
    byId("camera").hidden = view !== "camera";
    byId("camera").classList.toggle("elsewhere", at !== this.frameAfter(this.told.position));
    if (view !== "camera") paintThird(view, Number(byId("gain").value) || 1, Math.floor(performance.now() / 250) % 2);
  }

  drawBadges(frame, isPreview) {
    const { step, index } = frame;
    const outcome = this.words.outcomes[step && step.n ? step.outcomes[index] : 0];
    const level = this.words.levels[step && step.n ? step.levels[index] : 0];
    for (const [id, word] of [["outcome", outcome], ["state", level]]) {
      const text = `${GLYPHS[word]} ${word}${isPreview ? " (preview)" : ""}`;
      if (byId(id).textContent !== text) byId(id).textContent = text;
      byId(id).className = `badge ${word.replaceAll(" ", "-")}`;
    }
  }

  wordsOf({ step, index }, at) {
    const parts = [`frame ${at} of ${this.total}`];
    if (step?.n) parts.push(`P ${step.believed[index].toFixed(2)} imagined, ${step.judged[index].toFixed(2)} real`);
    if (step?.cube) parts.push(`cube ${step.cube[index].toFixed(1)} cm, hand ${step.hand[index].toFixed(1)} cm off`);
    return parts.join(" · ");
  }

  drawRail() {
    byId("rail").innerHTML = "";
    this.rail.forEach((scene, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.title = `${scene.caption} (key ${index + 1})`;
      const picture = new Image();
      picture.src = scene.picture;
      picture.alt = "";
      const [kind, task] = ["b", "span"].map((tag) => document.createElement(tag));
      [kind.textContent, task.textContent] = [scene.kind, scene.task];
      button.append(picture, kind, task);
      button.addEventListener("click", () => this.open(index));
      byId("rail").append(button);
    });
  }
}

window.openInspector = (element, trigger, props, watch) => {
  const inspector = new Inspector(element, trigger);
  window.drawBranchMap = () => inspector.drawMap();
  watch("value", () => props.value && inspector.take(props.value));
  if (props.value) inspector.take(props.value);
};

// One recording of the page: its player, its pictures, its blind test.
class ComparedRecording {
  #element;
  #data;
  #slider;
  #playhead;
  #picture;
  #dragStart = null;
  #hidden = "a";
  #correct = 0;
  #answers = 0;

  constructor(element, data) {
    this.#element = element;
    this.#data = data;
    this.#playhead = this.#find(".playhead");
    this.#picture = document.createElement("img");
    this.#picture.alt = "mel spectrogram of the version that is heard";
    this.#find(".spectrogram").prepend(this.#picture);
    this.player = new SynchronousPlayer(data.versions.map((version) => version.audio), () => this.#show());
    this.#slider = new PositionSlider(this.player, data.seconds, this.#find(".position"), this.#find(".time"));
    this.radios = [...element.querySelectorAll("input[type=radio]")];
    for (const radio of this.radios) radio.addEventListener("change", () => this.select(Number(radio.value)));
    this.#find(".play").addEventListener("click", () => this.player.toggle());
    this.#find(".loop").addEventListener("change", (event) => this.player.setLoop(event.target.checked));
    this.#listenToPlots();
    this.#listenToBlindTest();
    new ResizeObserver(() => this.#drawWave()).observe(this.#find(".wave"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#drawWave());
    this.#drawHidden();
    this.select(0);
  }

  #find(selector) { return this.#element.querySelector(selector); }

  select(index) {
    if (index < 0 || index >= this.radios.length) return;
    this.radios[index].checked = true;
    this.player.select(index);
    this.#showVersion(index);
  }

  move(seconds) { return this.player.seek(this.player.position + seconds); }

  toggleLoop() {
    const box = this.#find(".loop");
    box.checked = !box.checked;
    return this.player.setLoop(box.checked);
  }

  forgetPart() { return this.#mark(null); }

  // In the blind test nothing may tell which version is heard.
  hear(which) {
    this.#find(".blind").open = true;
    const letter = which === "x" ? this.#hidden : which;
    this.player.select(Number(this.#find(`select.${letter}`).value));
    this.#showVersion(null);
    for (const button of this.#element.querySelectorAll("[data-hear]")) {
      button.setAttribute("aria-pressed", String(button.dataset.hear === which));
    }
    return this.player.play();
  }

  animate() {
    if (this.player.playing) this.#showPosition();
  }

  #show() {
    const button = this.#find(".play");
    button.textContent = this.player.playing ? "Pause" : "Play";
    this.#showPosition();
  }

  #showPosition() {
    this.#slider?.show();
    this.#playhead.style.left = `${(100 * this.player.position) / this.#data.seconds}%`;
  }

  #showVersion(index) {
    const version = index === null ? null : this.#data.versions[index];
    this.#picture.hidden = version === null;
    if (version) this.#picture.src = version.spectrogram;
    this.#find(".shown").textContent = version ? version.title : "a version that is not told";
    this.radios.forEach((radio, number) => {
      if (index === null) radio.checked = false;
      radio.closest("tr").classList.toggle("heard", number === index);
    });
    if (version) {
      for (const button of this.#element.querySelectorAll("[data-hear]")) button.setAttribute("aria-pressed", "false");
    }
    this.shown = index;
    this.#drawWave();
  }

  #drawWave() {
    const canvas = this.#find(".wave");
    const scale = window.devicePixelRatio || 1;
    const width = Math.max(Math.round(canvas.clientWidth * scale), 1);
    const height = Math.max(Math.round(canvas.clientHeight * scale), 1);
    canvas.width = width;
    canvas.height = height;
    if (this.shown === null || this.shown === undefined) return;
    const [low, high] = this.#data.versions[this.shown].waveform;
    const largest = Math.max(...this.#data.versions.flatMap(({ waveform }) => waveform.flat().map(Math.abs)), 1);
    const pen = canvas.getContext("2d");
    pen.fillStyle = getComputedStyle(canvas).getPropertyValue("--wave");
    const unit = (0.48 * height) / largest;
    const step = width / low.length;
    low.forEach((lowest, column) => {
      const top = height / 2 - unit * high[column];
      const bottom = height / 2 - unit * lowest;
      pen.fillRect(column * step, top, Math.max(step, scale), Math.max(bottom - top, scale));
    });
  }

  // A click goes to a place, a drag marks a part and loops it.
  #listenToPlots() {
    const plots = this.#find(".plots");
    const secondsAt = (event) => {
      const box = plots.getBoundingClientRect();
      return this.#data.seconds * Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    };
    plots.addEventListener("pointerdown", (event) => {
      this.#dragStart = secondsAt(event);
      plots.setPointerCapture(event.pointerId);
    });
    plots.addEventListener("pointermove", (event) => {
      if (this.#dragStart === null) return;
      const ends = [this.#dragStart, secondsAt(event)].sort((one, other) => one - other);
      if (ends[1] - ends[0] > 0.05) this.#drawPart(ends);
    });
    plots.addEventListener("pointerup", async (event) => {
      if (this.#dragStart === null) return;
      const ends = [this.#dragStart, secondsAt(event)].sort((one, other) => one - other);
      this.#dragStart = null;
      if (ends[1] - ends[0] > 0.05) {
        await this.#mark(ends);
        await this.player.seek(ends[0]);
      } else {
        await this.player.seek(ends[0]);
      }
    });
    plots.addEventListener("pointercancel", () => {
      this.#dragStart = null;
      this.#drawPart(this.player.part);
    });
  }

  #mark(part) {
    this.#drawPart(part);
    this.#find(".loop").checked = part !== null;
    return this.player.setLoop(part !== null, part);
  }

  #drawPart(part) {
    const box = this.#find(".part");
    box.hidden = part === null;
    if (part === null) return;
    box.style.left = `${(100 * part[0]) / this.#data.seconds}%`;
    box.style.width = `${(100 * (part[1] - part[0])) / this.#data.seconds}%`;
  }

  #listenToBlindTest() {
    for (const button of this.#element.querySelectorAll("[data-hear]")) {
      button.addEventListener("click", () => this.hear(button.dataset.hear));
    }
    for (const button of this.#element.querySelectorAll("[data-answer]")) {
      button.addEventListener("click", () => this.#answer(button.dataset.answer));
    }
    for (const select of this.#element.querySelectorAll("select")) {
      select.addEventListener("change", () => this.#restartBlindTest());
    }
  }

  #restartBlindTest() {
    this.#correct = 0;
    this.#answers = 0;
    this.#drawHidden();
    const same = this.#find("select.a").value === this.#find("select.b").value;
    for (const button of this.#element.querySelectorAll("[data-answer]")) button.disabled = same;
    this.#find(".tally").textContent = same ? "A and B are the same version: choose two." : "No answer yet.";
  }

  #answer(letter) {
    const right = letter === this.#hidden;
    this.#correct += right ? 1 : 0;
    this.#answers += 1;
    const chance = (100 * guessingProbability(this.#correct, this.#answers)).toFixed(1);
    this.#find(".tally").textContent =
      `${right ? "Right" : "Wrong"}: X was ${this.#hidden.toUpperCase()}. ${this.#correct} of ${this.#answers} right; `
      + `guessing does as well in ${chance} % of cases.`;
    this.#drawHidden();
  }

  #drawHidden() { this.#hidden = crypto.getRandomValues(new Uint8Array(1))[0] % 2 ? "a" : "b"; }
}

class ComparisonPage {
  #recordings;
  #current = 0;

  constructor() {
    const { recordings } = pageData();
    const elements = [...document.querySelectorAll(".recording")];
    this.#recordings = elements.map((element, number) => new ComparedRecording(element, recordings[number]));
    elements.forEach((element, number) => {
      for (const kind of ["pointerdown", "focusin"]) element.addEventListener(kind, () => this.#choose(number));
    });
    document.addEventListener("keydown", (event) => this.#press(event));
    this.#choose(0);
    const animate = () => {
      for (const recording of this.#recordings) recording.animate();
      requestAnimationFrame(animate);
    };
    animate();
  }

  #choose(number) {
    this.#current = number;
    document.querySelectorAll(".recording").forEach((element, index) => {
      element.classList.toggle("current", index === number && this.#recordings.length > 1);
    });
  }

  #go(number) {
    if (number < 0 || number >= this.#recordings.length) return;
    this.#choose(number);
    document.querySelectorAll(".recording")[number].scrollIntoView({ block: "start" });
  }

  #press(event) {
    if (isTyping(event)) return;
    const recording = this.#recordings[this.#current];
    const actions = {
      " ": () => recording.player.toggle(),
      ArrowLeft: () => recording.move(-1),
      ArrowRight: () => recording.move(1),
      ArrowUp: () => recording.select((recording.shown ?? 0) - 1),
      ArrowDown: () => recording.select((recording.shown ?? -1) + 1),
      Home: () => recording.player.seek(0),
      Escape: () => recording.forgetPart(),
      l: () => recording.toggleLoop(),
      n: () => this.#go(this.#current + 1),
      p: () => this.#go(this.#current - 1),
      a: () => recording.hear("a"),
      b: () => recording.hear("b"),
      x: () => recording.hear("x"),
    };
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (/^[1-9]$/.test(key)) recording.select(Number(key) - 1);
    else if (key in actions) actions[key]();
    else return;
    event.preventDefault();
  }
}

new ComparisonPage();

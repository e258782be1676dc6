// An element with attributes (functions listen to events) and children.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (typeof value === "boolean") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const drawn = (count) => crypto.getRandomValues(new Uint32Array(1))[0] % count;

// What both tests share: who listens, training, one page after the other, and the file of answers.
class BlindTest {
  constructor() {
    this.data = pageData();
    this.main = document.getElementById("test");
    this.trials = [];
    this.keys = {};
    this.player = null;
    this.slider = null;
    document.addEventListener("keydown", (event) => {
      const action = isTyping(event) ? undefined : this.keys[event.key.toLowerCase()];
      if (!action) return;
      event.preventDefault();
      action();
    });
    addEventListener("beforeunload", (event) => {
      if (this.started && !this.saved) event.preventDefault();
    });
    const animate = () => {
      if (this.player?.playing) this.slider.show();
      requestAnimationFrame(animate);
    };
    animate();
    this.showStart();
  }

  // Replaces the page; the heading gets the focus, so that a screen reader begins there.
  show(heading, ...children) {
    this.player?.pause();
    this.player = null;
    this.keys = {};
    const title = element("h2", { tabindex: "-1" }, heading);
    this.main.replaceChildren(title, ...children);
    title.focus();
    scrollTo(0, 0);
  }

  showStart() {
    const listener = element("input", { type: "text", maxlength: "40", value: drawn(2 ** 32).toString(16).padStart(8, "0") });
    const order = element("input", { type: "text", inputmode: "numeric", value: String(1 + drawn(this.data.orders.length)) });
    const problem = element("p", { role: "alert" });
    const begin = () => {
      const number = Number(order.value);
      if (!listener.value.trim()) problem.textContent = "Give a code for the listener.";
      else if (!Number.isInteger(number) || number < 1 || number > this.data.orders.length) {
        problem.textContent = `The order is a number from 1 to ${this.data.orders.length}.`;
      } else {
        this.listener = listener.value.trim();
        this.orderNumber = number;
        this.order = this.data.orders[number - 1];
        this.started = new Date().toISOString();
        this.showTraining();
      }
    };
    this.show(
      "Before you begin",
      ...this.instructions().map((text) => element("p", {}, text)),
      element("p", {}, "Use headphones in a quiet room. Set the volume in the training and leave it after that."),
      element("div", { class: "fields" },
        element("label", {}, "Listener (a code; it stands in the file of answers)", listener),
        element("label", {}, `Order (1 to ${this.data.orders.length}, drawn by chance)`, order)),
      problem,
      element("button", { type: "button", class: "main", click: begin }, "To the training"),
    );
  }

  // A player of these addresses with its controls; buttons are what chooses between them.
  controls(recording, addresses, buttons) {
    const play = element("button", { type: "button", class: "play", click: () => this.player.toggle() }, "Play");
    const position = element("input", {
      type: "range", class: "position", min: "0", max: String(recording.seconds), step: "0.01", "aria-label": "position",
    });
    const time = element("output", { class: "time" });
    const player = new SynchronousPlayer(addresses, () => {
      play.textContent = player.playing ? "Pause" : "Play";
      slider?.show();
      buttons.forEach((button, index) => {
        button.setAttribute("aria-pressed", String(player.playing && player.selected === index));
      });
    });
    let slider = null;
    slider = new PositionSlider(player, recording.seconds, position, time);
    player.setLoop(true);
    this.player?.pause();
    this.player = player;
    this.slider = slider;
    const mark = (end) => {
      const part = [...(player.part ?? [0, recording.seconds])];
      part[end] = player.position;
      if (part[1] - part[0] < 0.2) part[1 - end] = end ? 0 : recording.seconds;
      player.setLoop(true, part);
    };
    const loop = [
      ["Loop from here", () => mark(0)], ["Loop to here", () => mark(1)], ["Loop all", () => player.setLoop(true, null)],
    ].map(([text, click]) => element("button", { type: "button", click }, text));
    return [element("div", { class: "transport" }, play, position, time), element("div", { class: "row" }, ...loop)];
  }

  hear(index) {
    this.player.select(index);
    return this.player.play();
  }

  showEnd() {
    const answers = {
      format: "meanflow-listening-answers",
      version: this.data.version,
      kind: this.data.kind,
      test: this.data.test,
      title: this.data.title,
      seed: this.data.seed,
      listener: this.listener,
      order: this.orderNumber,
      started: this.started,
      finished: new Date().toISOString(),
      conditions: this.data.conditions,
      trials: this.trials,
    };
    const text = `${JSON.stringify(answers, null, 1)}\n`;
    const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const name = `${this.data.kind}-${this.listener.replace(/[^\w-]+/g, "_")}.json`;
    this.show(
      "Thank you",
      element("p", {}, "Save the answers and give the file to whoever asked you."),
      element("p", {}, element("a", { href: address, download: name, id: "save", click: () => { this.saved = true; } }, `Save ${name}`)),
      element("p", { class: "quiet" }, "If nothing is saved, copy this text into a file instead:"),
      element("textarea", { readonly: "", "aria-label": "the answers", input: () => {}, copy: () => { this.saved = true; } }, text),
    );
  }
}

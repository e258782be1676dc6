class AbxTest extends BlindTest {
  instructions() {
    return [
      "You hear three sounds: A, B and X. A and B differ; X is one of them. Say which. If you cannot tell, guess.",
      "Switch as often as you like: the sound goes on at the same position. Keys: A, B and X; space plays and pauses.",
    ];
  }

  showTraining() {
    const place = element("div");
    const choice = element("select", { change: () => fill() },
      ...this.data.recordings.map(({ name }, number) => element("option", { value: String(number) }, name)));
    const fill = () => {
      const recording = this.data.recordings[Number(choice.value)];
      const buttons = this.data.conditions.map((name, number) => (
        element("button", { type: "button", class: "sound", click: () => this.hear(number) }, name)));
      const addresses = this.data.conditions.map((name) => recording.audio[name]);
      place.replaceChildren(...this.controls(recording, addresses, buttons), element("div", { class: "row" }, ...buttons));
      this.keys = { " ": () => this.player.toggle() };
    };
    this.show(
      "Training",
      element("p", {}, "Here the versions have their names. Listen for what sets them apart. Nothing is kept."),
      element("p", {}, element("label", {}, "Recording ", choice)),
      place,
      element("button", { type: "button", class: "main", click: () => this.showTrial(0) }, "Begin the test"),
    );
    fill();
  }

  showTrial(index) {
    const begun = performance.now();
    const trial = this.order[index];
    const recording = this.data.recordings[trial.recording];
    const pair = this.data.pairs[trial.pair];
    const [a, b] = trial.swapped ? [pair[1], pair[0]] : pair;
    const x = trial.x === "a" ? a : b;
    const heard = new Set();
    const answers = ["a", "b"].map((letter) => element("button", {
      type: "button",
      class: "main",
      disabled: true,
      click: () => {
        this.trials.push({
          recording: recording.name, a, b, x: trial.x, answer: letter,
          seconds: Math.round((performance.now() - begun) / 100) / 10,
        });
        if (index + 1 < this.order.length) this.showTrial(index + 1);
        else this.showEnd();
      },
    }, `X is ${letter.toUpperCase()}`));
    const hear = (number) => {
      heard.add(number);
      for (const answer of answers) answer.disabled = heard.size < 3;
      return this.hear(number);
    };
    const buttons = ["A", "B", "X"].map((text, number) => (
      element("button", { type: "button", class: "sound", click: () => hear(number) }, text)));
    this.show(`Question ${index + 1} of ${this.order.length}`);
    this.main.append(
      ...this.controls(recording, [a, b, x].map((name) => recording.audio[name]), buttons),
      element("div", { class: "row" }, ...buttons),
      element("div", { class: "row" }, ...answers),
    );
    this.keys = { " ": () => this.player.toggle(), a: () => hear(0), b: () => hear(1), x: () => hear(2) };
  }
}

new AbxTest();

const WORDS = ["Bad", "Poor", "Fair", "Good", "Excellent"];

class MushraTest extends BlindTest {
  instructions() {
    return [
      "You hear recordings in several versions. Rate how good each version is beside the reference, from 0 (bad) to "
      + "100 (excellent: no difference). All differences count.",
      "One of the versions is the reference itself, hidden: at least one must be rated 100. Others may be equal, too.",
      "Switch as often as you like: the sound goes on at the same position. Keys: 0 is the reference, 1, 2, 3 ... are "
      + "the versions, space plays and pauses.",
    ];
  }

  showTraining() {
    const place = element("div");
    const choice = element("select", { change: () => fill() },
      ...this.order.recordings.map((number, index) => (
        element("option", { value: String(index) }, this.data.recordings[number].name))));
    const fill = () => {
      const index = Number(choice.value);
      place.replaceChildren(...this.rating(index, () => {}).parts);
    };
    this.show(
      "Training",
      element("p", {}, "Listen to all versions of the recordings and try the scale. Nothing here is kept."),
      element("p", {}, element("label", {}, "Recording ", choice)),
      place,
      element("button", { type: "button", class: "main", click: () => this.showTrial(0) }, "Begin the test"),
    );
    fill();
  }

  // The reference and the versions of a recording with their scales.
  rating(index, changed) {
    const recording = this.data.recordings[this.order.recordings[index]];
    const stimuli = this.order.stimuli[index].map((number) => this.data.conditions[number]);
    const heard = new Set();
    const ratings = stimuli.map(() => null);
    const hear = (number) => {
      heard.add(number);
      changed();
      return this.hear(number);
    };
    const buttons = [
      element("button", { type: "button", click: () => hear(0) }, "Reference"),
      ...stimuli.map((_, number) => element("button", {
        type: "button", "aria-label": `Version ${number + 1}`, click: () => hear(number + 1),
      }, element("span", { class: "wide" }, "Version "), String(number + 1))),
    ];
    const rows = stimuli.map((_, number) => {
      const value = element("output", {}, "–");
      const row = element("div", { class: "stimulus unrated" }, buttons[number + 1]);
      const rate = (event) => {
        ratings[number] = Number(event.target.value);
        value.textContent = event.target.value;
        row.classList.remove("unrated");
        changed();
      };
      row.append(element("input", {
        type: "range", min: "0", max: "100", step: "1", value: "50", "aria-label": `rating of version ${number + 1}`,
        input: rate, click: rate,
      }), value);
      return row;
    });
    const parts = [
      ...this.controls(recording, ["reference", ...stimuli].map((name) => recording.audio[name]), buttons),
      element("div", { class: "row" }, buttons[0]),
      element("div", { class: "scale" }, element("div", {}, ...WORDS.map((word) => element("span", {}, word)))),
      element("div", { class: "stimuli" }, ...rows),
    ];
    this.keys = { " ": () => this.player.toggle() };
    buttons.forEach((_, number) => { if (number < 10) this.keys[String(number)] = () => hear(number); });
    return { parts, recording, stimuli, ratings, heard };
  }

  showTrial(index) {
    const begun = performance.now();
    const remark = element("p", { role: "status", class: "quiet" });
    const next = element("button", { type: "button", class: "main", disabled: true }, "Next");
    this.show(`Recording ${index + 1} of ${this.order.recordings.length}`);
    const trial = this.rating(index, () => {
      const unheard = trial.stimuli.length + 1 - trial.heard.size;
      const unrated = trial.ratings.filter((rating) => rating === null).length;
      next.disabled = unheard > 0 || unrated > 0;
      if (unheard) remark.textContent = `${unheard} still to be heard.`;
      else if (unrated) remark.textContent = `${unrated} still to be rated.`;
      else remark.textContent = trial.ratings.includes(100) ? "" : "None is rated 100, yet one is the reference.";
    });
    next.addEventListener("click", () => {
      this.trials.push({
        recording: trial.recording.name,
        stimuli: trial.stimuli,
        ratings: trial.ratings,
        seconds: Math.round((performance.now() - begun) / 100) / 10,
      });
      if (index + 1 < this.order.recordings.length) this.showTrial(index + 1);
      else this.showEnd();
    });
    this.main.append(...trial.parts, remark, next);
  }
}

new MushraTest();

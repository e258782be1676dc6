"use strict";

// One sound in several versions. All of them run at the same time and one is heard, so that switching keeps the
// position to the sample. A part of it can be looped.
class SynchronousPlayer {
  static #context = null;
  static #playing = null;
  // The one that is heard fades out before the next fades in: versions are never mixed.
  static FADE_SECONDS = 0.005;

  #addresses;
  #buffers = null;
  #loading = null;
  #nodes = [];
  #startedAt = 0;
  #offset = 0;
  #onChange;

  constructor(addresses, onChange) {
    this.#addresses = addresses;
    this.#onChange = onChange;
    this.selected = 0;
    this.playing = false;
    this.looping = false;
    this.part = null;
  }

  // Made on the first wish to hear something: browsers forbid sound before it.
  static context() {
    SynchronousPlayer.#context ??= new AudioContext();
    return SynchronousPlayer.#context;
  }

  async load() {
    this.#loading ??= Promise.all(this.#addresses.map(async (address) => {
      const text = atob(address.slice(address.indexOf(",") + 1));
      const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
      return SynchronousPlayer.context().decodeAudioData(bytes.buffer);
    }));
    this.#buffers = await this.#loading;
  }

  // Seconds; what loops is its part if one is marked, else all of it.
  get duration() { return this.#buffers ? this.#buffers[0].duration : 0; }
  get #loopStart() { return this.part ? this.part[0] : 0; }
  get #loopEnd() { return this.part ? this.part[1] : this.duration; }

  get position() {
    if (!this.playing) return this.#offset;
    const position = this.#offset + Math.max(SynchronousPlayer.context().currentTime - this.#startedAt, 0);
    if (this.looping && position >= this.#loopEnd) {
      const length = this.#loopEnd - this.#loopStart;
      return this.#loopStart + ((position - this.#loopStart) % length);
    }
    return Math.min(position, this.duration);
  }

  async play() {
    const context = SynchronousPlayer.context();
    await context.resume();
    await this.load();
    if (this.playing) return;
    if (SynchronousPlayer.#playing && SynchronousPlayer.#playing !== this) SynchronousPlayer.#playing.pause();
    SynchronousPlayer.#playing = this;
    if (this.part && this.looping && (this.#offset < this.part[0] || this.#offset >= this.part[1])) {
      this.#offset = this.part[0];
    }
    if (this.#offset >= this.duration - 0.01) this.#offset = this.looping ? this.#loopStart : 0;
    this.#startedAt = context.currentTime + 0.02;
    this.#nodes = this.#buffers.map((buffer, index) => {
      const source = new AudioBufferSourceNode(context, {
        buffer, loop: this.looping, loopStart: this.#loopStart, loopEnd: this.#loopEnd,
      });
      const gain = new GainNode(context, { gain: index === this.selected ? 1 : 0 });
      source.connect(gain).connect(context.destination);
      source.start(this.#startedAt, this.#offset);
      return { source, gain: gain.gain };
    });
    this.#nodes[0].source.onended = () => {
      this.#stop();
      this.#offset = 0;
      this.#onChange();
    };
    this.playing = true;
    this.#onChange();
  }

  pause() {
    if (!this.playing) return;
    const position = this.position;
    this.#stop();
    this.#offset = position;
    this.#onChange();
  }

  async toggle() {
    if (this.playing) this.pause();
    else await this.play();
  }

  async seek(position) {
    const playing = this.playing;
    if (playing) this.#stop();
    this.#offset = Math.max(position, 0);
    if (this.#buffers) this.#offset = Math.min(this.#offset, this.duration);
    if (playing) await this.play();
    else this.#onChange();
  }

  select(index) {
    if (index === this.selected) return;
    this.selected = index;
    const now = SynchronousPlayer.#context?.currentTime ?? 0;
    this.#nodes.forEach(({ gain }, number) => {
      gain.cancelScheduledValues(now);
      gain.setValueAtTime(gain.value, now);
      gain.linearRampToValueAtTime(0, now + SynchronousPlayer.FADE_SECONDS);
      if (number === index) gain.linearRampToValueAtTime(1, now + 2 * SynchronousPlayer.FADE_SECONDS);
    });
    this.#onChange();
  }

  // The part [start, end] in seconds, or null for the whole.
  async setLoop(looping, part = this.part) {
    const position = this.position;
    this.looping = looping;
    this.part = part;
    await this.seek(position);
  }

  #stop() {
    for (const { source } of this.#nodes) {
      source.onended = null;
      source.stop();
      source.disconnect();
    }
    this.#nodes = [];
    this.playing = false;
  }
}

// Shows a player's position in a slider and a text, and lets the slider move it.
class PositionSlider {
  #player;
  #slider;
  #text;
  #seconds;

  constructor(player, seconds, slider, text) {
    this.#player = player;
    this.#slider = slider;
    this.#text = text;
    this.#seconds = seconds;
    slider.addEventListener("input", () => player.seek(Number(slider.value)));
    this.show();
  }

  show() {
    const position = this.#player.position;
    this.#slider.value = position;
    const text = `${position.toFixed(2)} of ${this.#seconds.toFixed(2)} s`;
    this.#slider.setAttribute("aria-valuetext", text);
    this.#text.textContent = text;
  }
}

const pageData = () => JSON.parse(document.getElementById("data").textContent);

// Whether a key belongs to the element that has the focus rather than to the page.
function isTyping(event) {
  const { target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey) return true;
  if (target.matches("select, textarea, input[type=text]")) return true;
  if (target.matches("button, summary, a, input[type=checkbox]")) return event.key === " " || event.key === "Enter";
  if (target.matches("input[type=range], input[type=radio]")) {
    return event.key.startsWith("Arrow") || ["Home", "End", "PageUp", "PageDown"].includes(event.key);
  }
  return false;
}

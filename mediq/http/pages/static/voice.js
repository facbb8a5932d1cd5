// The board's voice: a chime, then short recordings one after the other. It needs no internet and no speech of the browser.

const PAUSE = { word: 0.02, letter: 0.12, sentence: 0.36 };
const CHIME = [
  { at: 0, pitch: 659.26 },
  { at: 0.36, pitch: 523.25 },
];
const CHIME_SECONDS = 1;
const QUIET = 0.01;

/** The recordings of a whole number. A number over 999 is said digit by digit. */
export function numberClips(number) {
  if (number > 999) return [...String(number)];
  if (number === 0) return ["0"];
  const [hundreds, rest] = [number - (number % 100), number % 100];
  const ones = rest < 20 ? rest : rest % 10;
  const tens = rest - ones;
  const parts = [hundreds, tens, ones].filter(Boolean);
  return parts.map((part, place) => (place < parts.length - 1 ? `${part}-` : `${part}`));
}

/** The recordings of a ticket's number: its letter, then the number. */
export function ticketClips(ticket) {
  const [, letter, number] = ticket.match(/^([A-Z])-(\d+)$/);
  return { letter: letter.toLowerCase(), number: numberClips(Number(number)) };
}

/** The recordings of a counter's name. A name with an unknown word is announced as shown on the screen. */
export function counterClips(name, recorded) {
  const words = name.toLowerCase().match(/[a-z]+|\d+/g) || [];
  const clips = words.flatMap((word) => (/\d/.test(word) ? numberClips(Number(word)) : [word]));
  return clips.length > 0 && clips.every((clip) => recorded.has(clip)) ? clips : ["di-layar"];
}

/** The announcement of one call: recordings, each with the seconds of silence after it. */
export function sentence(ticket, counter, recorded) {
  const { letter, number } = ticketClips(ticket);
  const said = (clips, last) =>
    clips.map((clip, place) => ({ clip, pause: place < clips.length - 1 ? PAUSE.word : last }));
  return [
    { clip: "nomor-antrean", pause: PAUSE.letter },
    { clip: letter, pause: PAUSE.letter },
    ...said(number, PAUSE.sentence),
    { clip: "silakan-menuju", pause: PAUSE.word },
    ...said(counterClips(counter, recorded), 0),
  ];
}

export class Voice {
  /** `base` is the folder of a language's recordings; `onChange` is called when the sound starts or stops. */
  constructor(base, onChange) {
    this.base = base;
    this.onChange = onChange;
    this.context = null;
    this.files = new Map();
  }

  get on() {
    return this.context !== null && this.context.state === "running";
  }

  /** Start the sound. A browser allows it after a tap, or if it was started with that permission. */
  async wake() {
    if (this.context === null) {
      this.context = new (window.AudioContext || window.webkitAudioContext)();
      this.context.addEventListener("statechange", () => this.onChange(this.on));
    }
    // Without a tap this promise may never settle.
    this.context.resume().then(() => this.load()).catch(() => {});
    this.onChange(this.on);
  }

  /** Fetch the missing recordings. Without the server the voice uses those that it has. */
  async load() {
    await Promise.all([...(await this.index())].map((clip) => this.clip(clip)));
  }

  /** The names of all recordings. */
  index() {
    return this.once("index.json", async (response) => new Set(await response.json()));
  }

  /** A recording with the bounds of its audible part. */
  clip(name) {
    return this.once(`${name}.mp3`, async (response) => {
      const data = await response.arrayBuffer();
      // The old form with callbacks, for browsers without promises here.
      const buffer = await new Promise((resolve, reject) => this.context.decodeAudioData(data, resolve, reject));
      return { buffer, ...heard(buffer) };
    });
  }

  /** Fetch and decode a file once for all callers. A failed file is fetched again at the next call. */
  once(name, read) {
    if (!this.files.has(name)) {
      const reading = fetch(`${this.base}/${name}`).then((response) => {
        if (!response.ok) throw new Error(`${name}: ${response.status}`);
        return read(response);
      });
      this.files.set(name, reading);
      reading.catch(() => this.files.delete(name));
    }
    return this.files.get(name);
  }

  /** Play the chime and the announcement. Resolves when they are over, without sound at once. */
  async announce(ticket, counter) {
    if (!this.on) return;
    const { context } = this;
    let at = context.currentTime + 0.05;
    for (const tone of CHIME) ring(context, at + tone.at, tone.pitch);
    at += CHIME_SECONDS;
    try {
      const said = sentence(ticket, counter, await this.index());
      const clips = await Promise.all(said.map((each) => this.clip(each.clip)));
      for (const [place, { buffer, from, seconds }] of clips.entries()) {
        const source = context.createBufferSource();
        source.buffer = buffer;
        source.connect(context.destination);
        at = Math.max(at, context.currentTime);
        source.start(at, from, seconds);
        at += seconds + said[place].pause;
      }
    } catch {
      // The chime was heard, and the screen shows the rest.
    }
    const left = Math.max(0, at - context.currentTime);
    await new Promise((resolve) => setTimeout(resolve, left * 1000));
  }
}

/** The audible part of a recording, without the silence at both ends. */
function heard(buffer) {
  const samples = buffer.getChannelData(0);
  let [first, end] = [0, samples.length];
  while (first < end && Math.abs(samples[first]) < QUIET) first += 1;
  while (end > first && Math.abs(samples[end - 1]) < QUIET) end -= 1;
  return { from: first / buffer.sampleRate, seconds: (end - first) / buffer.sampleRate };
}

/** One stroke of a bell. */
function ring(context, at, pitch) {
  for (const [partial, loudness, seconds] of [[1, 0.32, 1.1], [2, 0.1, 0.6], [3.01, 0.04, 0.3]]) {
    const [tone, gain] = [context.createOscillator(), context.createGain()];
    tone.frequency.value = pitch * partial;
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(loudness, at + 0.008);
    gain.gain.exponentialRampToValueAtTime(0.0004, at + seconds);
    tone.connect(gain).connect(context.destination);
    tone.start(at);
    tone.stop(at + seconds);
  }
}

// Decodes Opus packets by libopus 1.5, compiled to WebAssembly (npm package @wasm-audio-decoders/opus-ml, MIT).
// node opus_decoder.mjs none|lace|nolace; standard input: packets, each after its length in four bytes, little endian;
// standard output: mono samples at 48 kHz as 32-bit floats, little endian. Node looks for the package in NODE_PATH.
import { readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
const { OpusMLDecoder } = await import(pathToFileURL(require.resolve("@wasm-audio-decoders/opus-ml")).href);

const input = readFileSync(0);
const packets = [];
for (let at = 0; at < input.length; ) {
  const length = input.readUInt32LE(at);
  packets.push(new Uint8Array(input.subarray(at + 4, at + 4 + length)));
  at += 4 + length;
}
const decoder = new OpusMLDecoder({
  channels: 1,
  sampleRate: 48000,
  preSkip: 0,
  speechQualityEnhancement: process.argv[2],
});
await decoder.ready;
const { channelData, errors } = decoder.decodeFrames(packets);
if (errors.length > 0) {
  console.error(errors[0].message);
  process.exit(1);
}
const samples = Buffer.from(channelData[0].buffer, channelData[0].byteOffset, channelData[0].byteLength);
for (let at = 0; at < samples.length; ) at += writeSync(1, samples, at);
decoder.free();

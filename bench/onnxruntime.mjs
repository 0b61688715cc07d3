// Checks exported levels against ONNX Runtime: every level of a .strata file, exported as ONNX,
// gives there what our own runtime gives. Not part of the tests, because ONNX Runtime comes from
// npm and not from Debian. Once:
//
//   ./run build
//   cmake --install build/release --component runtime --prefix build/prefix
//   cmake -S examples -B build/examples -DCMAKE_PREFIX_PATH="$PWD/build/prefix"
//   cmake --build build/examples
//   npm install --ignore-scripts --prefix build/npm onnxruntime-node
//
// Then, for any model that you have or that `strata init` makes:
//
//   node bench/onnxruntime.mjs MODEL.strata
//
// Prints the largest difference per level, relative to the largest output, over several random
// inputs; exit code 1 if one is above 1e-4.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const TOLERANCE = 1e-4;
const INPUTS = 4;
const root = fileURLToPath(new URL("..", import.meta.url));
const strata = join(root, "build/release/tools/strata/strata");
const rawInference = join(root, "build/examples/raw_inference");
const ort = createRequire(join(root, "build/npm/"))("onnxruntime-node");

/** Uniform in -1..1, the same on every run (Lehmer's generator, Park and Miller 1988). */
function randomNumbers(count, seed) {
  const numbers = new Float32Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (state * 48271) % 2147483647;
    numbers[i] = (2 * state) / 2147483647 - 1;
  }
  return numbers;
}

function ours(model, level, input) {
  const out = execFileSync(rawInference, [model, String(level)], { input: Buffer.from(input.buffer) });
  return new Float32Array(out.buffer.slice(out.byteOffset, out.byteOffset + out.length));
}

async function largestDifference(model, level, shape, folder) {
  const onnx = join(folder, `level${level}.onnx`);
  execFileSync(strata, ["export", model, "--level", String(level), "-q", "-o", onnx]);
  const session = await ort.InferenceSession.create(onnx);
  const count = shape.reduce((a, b) => a * b, 1);
  let largest = 0;
  for (let seed = 1; seed <= INPUTS; seed++) {
    const input = randomNumbers(count, seed);
    const feeds = { [session.inputNames[0]]: new ort.Tensor("float32", input, shape) };
    const theirs = (await session.run(feeds))[session.outputNames[0]].data;
    const mine = ours(model, level, input);
    if (mine.length !== theirs.length) throw new Error("outputs differ in size");
    let difference = 0;
    let scale = 0;
    for (let i = 0; i < mine.length; i++) {
      difference = Math.max(difference, Math.abs(mine[i] - theirs[i]));
      scale = Math.max(scale, Math.abs(theirs[i]));
    }
    largest = Math.max(largest, difference / scale);
  }
  return largest;
}

const model = process.argv[2];
if (model === undefined || process.argv.length !== 3) {
  console.error("usage: node bench/onnxruntime.mjs MODEL.strata");
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), "strata-onnx-"));
try {
  const inspected = JSON.parse(execFileSync(strata, ["inspect", model, "--json"]));
  const shape = inspected.graphs[0].inputs[0].shape
    .slice(1, -1)
    .split(",")
    .map((size) => (Number.isNaN(Number(size)) ? 1 : Number(size)));
  for (const { level } of inspected.levels) {
    const difference = await largestDifference(model, level, shape, folder);
    const verdict = difference <= TOLERANCE ? "equal" : "DIFFERENT";
    // NaN is a difference too.
    if (!(difference <= TOLERANCE)) process.exitCode = 1;
    console.log(`level ${level}: largest relative difference ${difference.toExponential(2)}, ${verdict}`);
  }
} finally {
  rmSync(folder, { recursive: true });
}

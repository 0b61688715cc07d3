// Checks networks against ONNX Runtime: every level, exported as ONNX, gives there what our own
// runtime gives, and an imported network gives what the original gave. Not part of the tests,
// because ONNX Runtime comes from npm and not from Debian. Once:
//
//   ./run build
//   npm install --ignore-scripts --prefix build/npm onnxruntime-node
//
// Then, for any files, or folders of them:
//
//   node bench/onnxruntime.mjs [--ort DIR] [--levels 30,60] MODEL.strata MODEL.onnx FOLDER ...
//
// A .strata file is taken as it is. An .onnx file is nested by magnitude at --levels (values do not
// matter here) after the whole network has been compared with the original. Prints per level, over
// several random inputs, the largest difference relative to the largest output, and whether the
// largest output is at the same place; exit code 1 if a difference is above 1e-4, a place differs,
// or a network cannot be run. --ort is the package's folder (build/npm/node_modules/onnxruntime-node).
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const TOLERANCE = 1e-4;
const INPUTS = 4;
const root = fileURLToPath(new URL("..", import.meta.url));
const strata = join(root, "build/release/tools/strata/strata");
const levelOutputs = join(root, "build/release/bench/strata_level_outputs");
const arrays = { float32: Float32Array, int64: BigInt64Array, int32: Int32Array, uint8: Uint8Array, int8: Int8Array, bool: Uint8Array };

const options = { ort: join(root, "build/npm/node_modules/onnxruntime-node"), levels: "30,60" };
const files = [];
for (let i = 2; i < process.argv.length; i++) {
  const name = process.argv[i].replace(/^--/, "");
  if (name === process.argv[i]) files.push(name);
  else if (name in options && i + 1 < process.argv.length) options[name] = process.argv[++i];
  else files.length = 0, i = process.argv.length;
}
if (files.length === 0) {
  console.error("usage: node bench/onnxruntime.mjs [--ort DIR] [--levels P,...] MODEL.strata|MODEL.onnx|FOLDER ...");
  process.exit(2);
}
const ort = createRequire(import.meta.url)(resolve(options.ort));

const run = (program, words, input) =>
  execFileSync(program, words, { input, stdio: ["pipe", "pipe", "pipe"], maxBuffer: 1 << 30 });

/** Uniform in -1..1, the same on every run (Lehmer's generator, Park and Miller 1988); small
 * natural numbers for integers, which are mostly indices. */
function randomInput({ type, shape }, seed) {
  const count = shape.reduce((a, b) => a * b, 1);
  const values = new arrays[type](count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (state * 48271) % 2147483647;
    if (type === "float32") values[i] = (2 * state) / 2147483647 - 1;
    else values[i] = type === "int64" ? BigInt(state & 1) : state & 1;
  }
  return values;
}

/** One level of ours beside one ONNX file: the largest relative difference, and the top-1. */
async function compare(model, level, onnx) {
  const facts = JSON.parse(run(levelOutputs, [model]));
  // The dense network's export may have been simplified by the engine; we compare plain arithmetic.
  const session = await ort.InferenceSession.create(onnx);
  const result = { difference: 0, sameTop: true };
  for (let seed = 1; seed <= INPUTS; seed++) {
    const inputs = facts.inputs.map((input, i) => randomInput(input, seed + 100 * i));
    const feeds = {};
    facts.inputs.forEach((input, i) => {
      feeds[session.inputNames[i]] = new ort.Tensor(input.type, inputs[i], input.shape);
    });
    const theirs = await session.run(feeds);
    const bytes = run(levelOutputs, [model, String(level)],
                      Buffer.concat(inputs.map((a) => Buffer.from(a.buffer))));
    let offset = 0;
    facts.outputs.forEach((output, i) => {
      if (output.type !== "float32") return;
      const expected = theirs[session.outputNames[i]].data;
      const actual = new Float32Array(bytes.buffer.slice(bytes.byteOffset + offset,
                                                         bytes.byteOffset + offset + 4 * expected.length));
      offset += 4 * expected.length;
      let difference = 0;
      let scale = 0;
      let top = 0;
      for (let j = 0; j < expected.length; j++) {
        difference = Math.max(difference, Math.abs(actual[j] - expected[j]));
        scale = Math.max(scale, Math.abs(expected[j]));
        if (actual[j] > actual[top]) top = j;
      }
      const relative = difference / Math.max(scale, 1e-30);
      result.difference = Number.isNaN(relative) ? NaN : Math.max(result.difference, relative);
      // Values that are equal but for rounding have no order.
      const best = expected.reduce((a, b) => Math.max(a, b), -Infinity);
      if (best - expected[top] > TOLERANCE * scale) result.sameTop = false;
    });
  }
  await session.release?.();
  return result;
}

let compared = 0;
function tell(name, what, { difference, sameTop }) {
  const equal = difference <= TOLERANCE && sameTop;  // NaN is a difference too
  if (!equal) process.exitCode = 1;
  compared++;
  console.log(`${name}, ${what}: largest relative difference ${difference.toExponential(2)}, ` +
              `${sameTop ? "same" : "OTHER"} top-1, ${equal ? "equal" : "DIFFERENT"}`);
}

async function check(file, folder) {
  const name = basename(file);
  let model = file;
  try {
    if (file.endsWith(".onnx")) {
      const dense = join(folder, "dense.strata");
      run(strata, ["import", file, "-q", "-o", dense]);
      tell(name, "dense and original", await compare(dense, 0, file));
      model = join(folder, "nested.strata");
      run(strata, ["compress", dense, "--levels", options.levels, "--method", "magnitude", "--threads", "1", "-q", "-o", model]);
    }
    const { levels } = JSON.parse(run(levelOutputs, [model]));
    for (let level = 0; level < levels; level++) {
      const onnx = join(folder, "level.onnx");
      run(strata, ["export", model, "--level", String(level), "-q", "-o", onnx]);
      tell(name, `level ${level}`, await compare(model, level, onnx));
    }
  } catch (error) {
    process.exitCode = 1;
    console.log(`${name}: FAILED: ${String(error.stderr || error.message).trim().split("\n").pop()}`);
  }
}

const models = files.flatMap((file) =>
  statSync(file).isDirectory()
    ? readdirSync(file).filter((f) => /\.(onnx|strata)$/.test(f)).sort().map((f) => join(file, f))
    : [file]);
const folder = mkdtempSync(join(tmpdir(), "strata-onnx-"));
try {
  for (const file of models) await check(file, folder);
  console.log(`${compared} comparisons of ${models.length} networks`);
} finally {
  rmSync(folder, { recursive: true });
}

// Checks networks against ONNX Runtime: every level, exported as ONNX, gives there what our own
// runtime gives, and an imported network gives what the original gave. Not part of the tests,
// because ONNX Runtime comes from npm and not from Debian. Once:
//
//   ./run build
//   npm install --ignore-scripts --prefix build/npm onnxruntime-node
//
// Then, for any files, or folders of them:
//
//   node bench/onnxruntime.mjs [--ort DIR] [--levels 30,60] [--inputs 4] [--bind SYMBOL=SIZE,...]
//                              [--data GRAPH.npz] MODEL.strata MODEL.onnx FOLDER ...
//
// A .strata file is taken as it is, graph by graph. An .onnx file is nested by magnitude at --levels
// after the whole network has been compared with the original; besides, its architecture is compared
// with random weights, because those of the onnx project's test networks are all alike. Prints
// per level, over several random inputs (or those of GRAPH.npz), the largest difference relative to
// the largest output, and whether the largest number of every row of an output is at the same place;
// exit code 1 if a difference is above 1e-4, a place differs, or a network cannot be run. --bind
// gives sizes that a model leaves open. --ort is the package's folder
// (build/npm/node_modules/onnxruntime-node).
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const TOLERANCE = 1e-4;
const OTHER_SETTINGS = [{ graphOptimizationLevel: "disabled" }, { graphOptimizationLevel: "basic" }];
const root = fileURLToPath(new URL("..", import.meta.url));
const strata = join(root, "build/release/tools/strata/strata");
const levelOutputs = join(root, "build/release/bench/strata_level_outputs");
const arrays = { float64: Float64Array, float32: Float32Array, int64: BigInt64Array, int32: Int32Array, uint8: Uint8Array, int8: Int8Array, bool: Uint8Array };

const options = { ort: join(root, "build/npm/node_modules/onnxruntime-node"), levels: "30,60", inputs: "4", bind: "", data: "" };
const files = [];
for (let i = 2; i < process.argv.length; i++) {
  const name = process.argv[i].replace(/^--/, "");
  if (name === process.argv[i]) files.push(name);
  else if (name in options && i + 1 < process.argv.length) options[name] = process.argv[++i];
  else files.length = 0, i = process.argv.length;
}
if (files.length === 0) {
  console.error("usage: node bench/onnxruntime.mjs [--ort DIR] [--levels P,...] [--inputs N] [--bind SYMBOL=SIZE,...] [--data GRAPH.npz] MODEL.strata|MODEL.onnx|FOLDER ...");
  process.exit(2);
}
const ort = createRequire(import.meta.url)(resolve(options.ort));

const run = (program, words, input) =>
  execFileSync(program, words, { input, stdio: ["pipe", "pipe", "pipe"], maxBuffer: 1 << 30 });

const sizes = [...options.bind.split(",").filter((text) => text).flatMap((text) => ["--bind", text]),
               ...(options.data ? ["--data", options.data] : [])];

/** Raw memory as arrays of the types that `values` have, a list of them for each inference. */
function split(bytes, values) {
  const all = [];
  let offset = bytes.byteOffset;
  while (offset < bytes.byteOffset + bytes.length) {
    all.push(values.map(({ type, shape }) => {
      const count = shape.reduce((a, b) => a * b, 1);
      const size = count * arrays[type].BYTES_PER_ELEMENT;
      const array = new arrays[type](bytes.buffer.slice(offset, offset + size));
      offset += size;
      return array;
    }));
  }
  return all;
}

const largest = (values) => values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);

/** The largest difference, relative to the largest number of `reference`. */
function distance(values, reference) {
  if (values.length !== reference.length) return NaN;
  const difference = reference.reduce((a, b, i) => Math.max(a, Math.abs(values[i] - b)), 0);
  return difference / Math.max(largest(reference), 1e-30);
}

/** One level of a graph of ours beside one ONNX file: the largest relative difference, and whether
 * rows have their largest number at the same place. */
async function compare(model, graph, level, onnx) {
  const words = ["--graph", graph.name, ...sizes];
  // The dense network's export may have been simplified by the engine; we compare plain arithmetic.
  const session = await ort.InferenceSession.create(onnx);
  const others = [];  // the same engine with other settings, made when a level needs them
  const result = { difference: 0, sameTop: true, ours: 0, theirs: 0, itself: 0 };
  const floats = graph.outputs.filter((output) => output.type === "float32");
  const nameOf = (output) =>
    session.outputNames.includes(output.name) ? output.name : session.outputNames[graph.outputs.indexOf(output)];
  const bytes = run(levelOutputs, [model, "inputs", ...(options.data ? [] : [options.inputs]), ...words]);
  const ours = split(run(levelOutputs, [model, String(level), ...words], bytes), floats);
  let truth;
  for (const [sample, inputs] of split(bytes, graph.inputs).entries()) {
    const feeds = {};
    inputs.forEach((values, i) => {
      const { name, type, shape } = graph.inputs[i];
      feeds[session.inputNames.includes(name) ? name : session.inputNames[i]] = new ort.Tensor(type, values, shape);
    });
    const theirs = await session.run(feeds);
    const far = floats.some((output, i) => !(distance(ours[sample][i], theirs[nameOf(output)].data) <= TOLERANCE));
    if (far && others.length === 0) {
      for (const settings of OTHER_SETTINGS) others.push(await ort.InferenceSession.create(onnx, settings));
    }
    for (const other of far ? others : []) {
      const again = await other.run(feeds);
      for (const output of floats) {
        result.itself = Math.max(result.itself, distance(again[nameOf(output)].data, theirs[nameOf(output)].data));
      }
    }
    floats.forEach((output, i) => {
      const expected = theirs[nameOf(output)].data;
      const actual = ours[sample][i];
      const width = output.shape.length > 1 ? output.shape[output.shape.length - 1] : expected.length;
      const relative = distance(actual, expected);
      result.difference = Number.isNaN(relative) ? NaN : Math.max(result.difference, relative);
      if (!(relative <= TOLERANCE)) {
        truth ??= split(run(levelOutputs, [model, "truth", String(level), ...words], bytes),
                        floats.map((value) => ({ ...value, type: "float64" })));
        result.ours = Math.max(result.ours, distance(actual, truth[sample][i]));
        result.theirs = Math.max(result.theirs, distance(expected, truth[sample][i]));
      }
      const scale = largest(expected);
      for (let row = 0; row < expected.length; row += width) {
        let top = row;
        let best = row;
        for (let j = row; j < row + width; j++) {
          if (actual[j] > actual[top]) top = j;
          if (expected[j] > expected[best]) best = j;
        }
        // Values that are equal but for rounding have no order.
        if (expected[best] - expected[top] > TOLERANCE * scale) result.sameTop = false;
      }
    });
  }
  for (const made of [session, ...others]) await made.release?.();
  return result;
}

const factsOf = (model) => JSON.parse(run(levelOutputs, [model, ...sizes]));

let compared = 0;
function tell(name, what, { difference, sameTop, ours, theirs, itself }) {
  const near = difference <= TOLERANCE;  // NaN is a difference too
  // Where the engine is as far from itself, or farther from the truth than we are, it is no measure.
  const equal = sameTop && (near || difference <= itself || ours <= theirs);
  if (!equal) process.exitCode = 1;
  compared++;
  const truth = near ? "" : ` (to double precision: ours ${ours.toExponential(2)}, ONNX Runtime ${theirs.toExponential(2)}; ONNX Runtime to itself with other optimisations ${itself.toExponential(2)})`;
  console.log(`${name}, ${what}: largest relative difference ${difference.toExponential(2)}${truth}, ` +
              `${sameTop ? "same" : "OTHER"} top-1, ${equal ? "equal" : "DIFFERENT"}`);
}

async function checkLevels(model, name, folder) {
  const { levels, graphs } = factsOf(model);
  for (const graph of graphs) {
    for (let level = 0; level < levels; level++) {
      const onnx = join(folder, "level.onnx");
      run(strata, ["export", model, "--level", String(level), "--graph", graph.name, "-q", "-o", onnx]);
      const what = graphs.length > 1 ? `${graph.name}, level ${level}` : `level ${level}`;
      tell(name, what, await compare(model, graph, level, onnx));
    }
  }
}

async function check(file, folder) {
  const name = basename(file);
  try {
    if (!file.endsWith(".onnx")) {
      await checkLevels(file, name, folder);
      return;
    }
    const dense = join(folder, "dense.strata");
    run(strata, ["import", file, "-q", "-o", dense]);
    tell(name, "dense and original", await compare(dense, factsOf(dense).graphs[0], 0, file));
    const nested = join(folder, "nested.strata");
    run(strata, ["compress", dense, "--levels", options.levels, "--method", "magnitude", "--threads", "1", "-q", "-o", nested]);
    await checkLevels(nested, name, folder);
    run(levelOutputs, [dense, "random", nested]);
    await checkLevels(nested, `${name}, random weights`, folder);
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

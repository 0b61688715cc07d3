// ResNet-50 (or any exported image network) at every level beside ONNX Runtime's dense fp32, in one
// run and in turns, so that both see the same machine.
//
//   npm install onnxruntime-node          (anywhere; --ignore-scripts skips its GPU libraries)
//   strata export r50.strata --level dense -o dense.onnx
//   node bench/compare_onnxruntime.mjs --ort DIR/node_modules/onnxruntime-node --onnx dense.onnx \
//     --model r50.strata --strata build/release/tools/strata/strata --threads 2 [--rounds 5] [--layers 1] [--json FILE]
//
// --layers 1 also compares the least sparse level layer by layer with ONNX Runtime's own profile: how
// the dense kernels stand where that level has all weights. Layers are paired by the module in
// their names, in order.
//
// A round is a burst of inferences of each, the order alternating; the figure is the median over
// all rounds. Ratios are what to quote; absolute times are those of one machine on one day.
import {execFileSync} from 'node:child_process';
import {mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {median, openRuntime, readOptions, sessionSettings} from './peers.mjs';

const options = readOptions('compare_onnxruntime', {threads: '2', rounds: '5', runs: '20'},
                            ['ort', 'onnx', 'model', 'strata']);
const threads = Number(options.threads);
const runs = Number(options.runs);
const ort = openRuntime(options.ort);
const version = JSON.parse(readFileSync(resolve(options.ort, 'package.json'))).version;

const settings = sessionSettings(threads);
const peer = await ort.InferenceSession.create(options.onnx, settings);
const shape = peer.inputMetadata ? peer.inputMetadata[0].shape.map(d => typeof d === 'number' && d > 0 ? d : 1)
                                 : [1, 3, 224, 224];
const size = shape.reduce((a, b) => a * b, 1);
const feeds = {[peer.inputNames[0]]: new ort.Tensor('float32', new Float32Array(size).fill(0.5), shape)};

async function burstOfPeer() {
  for (let i = 0; i < 3; ++i) await peer.run(feeds);
  const times = [];
  for (let i = 0; i < runs; ++i) {
    const begin = process.hrtime.bigint();
    await peer.run(feeds);
    times.push(Number(process.hrtime.bigint() - begin) / 1e6);
  }
  return median(times);
}

function burstOfStrata(...more) {
  const text = execFileSync(options.strata, ['bench', options.model, '--threads', options.threads,
                                             '--runs', String(runs * 3), '--json', '-q', ...more]);
  return JSON.parse(text);
}

/// Microseconds of every convolution and product of ONNX Runtime, by name, medians.
async function layersOfPeer() {
  const folder = mkdtempSync(join(tmpdir(), 'profile-'));
  const session = await ort.InferenceSession.create(
    options.onnx, {...settings, enableProfiling: true, profileFilePrefix: join(folder, 'p')});
  for (let i = 0; i < runs + 3; ++i) await session.run(feeds);
  session.endProfiling();
  const events = JSON.parse(readFileSync(join(folder, readdirSync(folder)[0])));
  rmSync(folder, {recursive: true});
  const times = new Map();
  for (const event of events) {
    if (!/^(Fused)?(Conv|Gemm|MatMul)$/.test(event.args?.op_name ?? '') || !/_kernel_time$/.test(event.name)) continue;
    const name = event.name.replace(/(_nchwc)?_kernel_time$/, '');
    if (!times.has(name)) times.set(name, []);
    times.get(name).push(event.dur);
  }
  return [...times].map(([name, all]) => ({name, us: median(all.slice(3))}));
}

/// Layers of both by the module that their names have in common, in order.
function pairLayers(ours, theirs) {
  const module = name => name.split('.').slice(0, -1).join('.');
  const waiting = new Map();
  for (const layer of theirs) {
    if (!waiting.has(module(layer.name))) waiting.set(module(layer.name), []);
    waiting.get(module(layer.name)).push(layer);
  }
  return ours.map(layer => {
    const other = waiting.get(module(layer.name))?.shift();
    if (!other) throw new Error(`compare_onnxruntime: ONNX Runtime's profile has no layer for '${layer.name}'`);
    return {...layer, peer: other.us};
  });
}

const layerTimes = [];
const peerLayers = [];
async function timeLayers(levels) {
  const top = String(levels - 1);
  const theirs = await layersOfPeer();
  const text = burstOfStrata('--steps', '--level', top);
  const ours = text.steps.map((step, i) => ({...step, us: text.levels[0].step_us[i]}))
    .filter(step => /^(conv|gemm)/.test(step.kind));
  pairLayers(ours, theirs).forEach((layer, i) => {
    (layerTimes[i] ??= {name: layer.name, kind: layer.kind, ours: []}).ours.push(layer.us);
    (peerLayers[i] ??= []).push(layer.peer);
  });
}

const peerTimes = [];
const levelTimes = [];
let document;
for (let round = 0; round < Number(options.rounds); ++round) {
  if (round % 2 === 0) peerTimes.push(await burstOfPeer());
  document = burstOfStrata();
  document.levels.forEach((level, k) => (levelTimes[k] ??= []).push(level.p50_ms));
  if (round % 2 === 1) peerTimes.push(await burstOfPeer());
  if (options.layers) await timeLayers(document.levels.length);
}

const dense = median(peerTimes);
const table = document.levels.map((level, k) => ({
  level: level.level, weights_pct: level.weights_pct, flops_pct: level.flops_pct,
  ms: median(levelTimes[k]), speedup: dense / median(levelTimes[k]),
}));
console.log(`${document.machine.cpu}, ${threads} thread(s), input ${shape.join('x')}, ` +
            `ONNX Runtime ${version} fp32 dense: ${dense.toFixed(2)} ms\n`);
console.log('| level | weights % | FLOPs % | ms | times ONNX Runtime |\n|---|---:|---:|---:|---:|');
for (const row of table) {
  console.log(`| ${row.level} | ${row.weights_pct.toFixed(2)} | ${row.flops_pct.toFixed(2)} | ` +
              `${row.ms.toFixed(2)} | ${row.speedup.toFixed(2)} |`);
}
const layers = layerTimes.map((layer, i) => {
  const [us, other] = [median(layer.ours), median(peerLayers[i])];
  return {name: layer.name, kind: layer.kind, us, onnxruntime_us: other, ratio: us / other};
});
if (layers.length > 0) {
  console.log('\n| layer | kind | µs | ONNX Runtime, µs | ratio |\n|---|---|---:|---:|---:|');
  for (const row of layers) {
    console.log(`| ${row.name} | ${row.kind} | ${row.us.toFixed(0)} | ${row.onnxruntime_us.toFixed(0)} | ` +
                `${row.ratio.toFixed(2)} |`);
  }
}
if (options.json) {
  writeFileSync(options.json, JSON.stringify({onnxruntime: version, dense_ms: dense, threads, shape, table, layers,
                                              machine: document.machine, build: document.build}, null, 1));
}

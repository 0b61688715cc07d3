// ResNet-50 (or any exported image network) at every level beside ONNX Runtime's dense fp32, in one
// run and in turns, so that both see the same machine.
//
//   npm install onnxruntime-node          (anywhere; --ignore-scripts skips its GPU libraries)
//   strata export r50.strata --level dense -o dense.onnx
//   node bench/compare_onnxruntime.mjs --ort DIR/node_modules/onnxruntime-node --onnx dense.onnx \
//     --model r50.strata --strata build/release/tools/strata/strata --threads 2 [--rounds 5] [--json FILE]
//
// A round is a burst of inferences of each, the order alternating; the figure is the median over
// all rounds. Ratios are what to quote; absolute times are those of one machine on one day.
import {createRequire} from 'node:module';
import {execFileSync} from 'node:child_process';
import {readFileSync, writeFileSync} from 'node:fs';
import {resolve} from 'node:path';

const options = {threads: '2', rounds: '5', runs: '20'};
for (let i = 2; i + 1 < process.argv.length; i += 2) {
  options[process.argv[i].replace(/^--/, '')] = process.argv[i + 1];
}
for (const name of ['ort', 'onnx', 'model', 'strata']) {
  if (!options[name]) {
    console.error(`compare_onnxruntime: --${name} is missing, see the top of this file`);
    process.exit(2);
  }
}
const threads = Number(options.threads);
const runs = Number(options.runs);
const require = createRequire(import.meta.url);
const ort = require(resolve(options.ort));
const version = JSON.parse(readFileSync(resolve(options.ort, 'package.json'))).version;

const median = values => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
};

const peer = await ort.InferenceSession.create(options.onnx, {
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  executionProviders: ['cpu'],
  graphOptimizationLevel: 'all',
  // Spinning threads would take the processor from whoever's turn it is.
  extra: {session: {'force_spinning_stop': '1'}},
});
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

function burstOfStrata() {
  const text = execFileSync(options.strata, ['bench', options.model, '--threads', options.threads,
                                             '--runs', String(runs * 3), '--json', '-q']);
  return JSON.parse(text);
}

const peerTimes = [];
const levelTimes = [];
let document;
for (let round = 0; round < Number(options.rounds); ++round) {
  if (round % 2 === 0) peerTimes.push(await burstOfPeer());
  document = burstOfStrata();
  document.levels.forEach((level, k) => (levelTimes[k] ??= []).push(level.p50_ms));
  if (round % 2 === 1) peerTimes.push(await burstOfPeer());
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
if (options.json) {
  writeFileSync(options.json, JSON.stringify({onnxruntime: version, dense_ms: dense, threads, shape, table,
                                              machine: document.machine, build: document.build}, null, 1));
}

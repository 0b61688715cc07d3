// An image network at every level in WebAssembly, beside the native program and beside ONNX Runtime's
// WebAssembly with the dense network, one thread each, in one run and in turns:
//
//   npm install --ignore-scripts onnxruntime-web          (anywhere)
//   strata export r50.strata --level dense -o dense.onnx
//   node bench/compare_wasm.mjs --module build/wasm/javascript/strata.mjs --model r50.strata \
//     --strata build/release/tools/strata/strata --targets sse4,avx2 \
//     --ort DIR/node_modules/onnxruntime-web --onnx dense.onnx [--rounds 5] [--runs 10]
//
// --targets: values of STRATA_TARGET for the native program. --ort and --onnx may be left out. A round is a
// burst of inferences of each; the figure is the median over the rounds of the bursts' medians.
import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {pathToFileURL} from 'node:url';
import {median, readOptions} from './peers.mjs';

const options = readOptions('compare_wasm', {rounds: '5', runs: '10', targets: 'sse4,avx2'}, ['module', 'model', 'strata']);
const runs = Number(options.runs);

async function burst(run) {
  for (let i = 0; i < 2; ++i) await run();
  const times = [];
  for (let i = 0; i < runs; ++i) {
    const begin = performance.now();
    await run();
    times.push(performance.now() - begin);
  }
  return median(times);
}

const {Session} = await import(pathToFileURL(resolve(options.module)));
const session = await Session.create(resolve(options.model));
const image = new Float32Array(session.inputs[0].size).fill(0.5);
const levels = Array.from({length: session.levelCount}, (_, level) => level);

/// name: what to do for one round; gives [name, milliseconds] pairs.
const contestants = levels.map(level => async () =>
  [[`wasm, level ${level}`, await burst(() => session.run(image, {level}))]]);
for (const target of options.targets.split(',')) {
  contestants.push(async () => {
    const text = execFileSync(options.strata,
      ['bench', options.model, '--threads', '1', '--runs', String(2 * runs), '--json', '-q'],
      {env: {...process.env, STRATA_TARGET: target}});
    return JSON.parse(text).levels.map(({level, p50_ms}) => [`${target}, level ${level}`, p50_ms]);
  });
}
if (options.ort) {
  const ort = await import(pathToFileURL(join(resolve(options.ort), 'dist/ort.wasm.mjs')));
  ort.env.wasm.numThreads = 1;
  const peer = await ort.InferenceSession.create(readFileSync(options.onnx), {executionProviders: ['wasm']});
  const feeds = {[peer.inputNames[0]]: new ort.Tensor('float32', image, session.inputs[0].shape)};
  const {version} = JSON.parse(readFileSync(join(options.ort, 'package.json')));
  contestants.push(async () => [[`onnxruntime-web ${version}, dense`, await burst(() => peer.run(feeds))]]);
}

const times = new Map();
for (let round = 0; round < Number(options.rounds); ++round) {
  const order = round % 2 === 0 ? contestants : [...contestants].reverse();
  for (const contestant of order) {
    for (const [name, ms] of await contestant()) times.set(name, [...(times.get(name) ?? []), ms]);
  }
}
console.log(`node ${process.version}, one thread, medians of ${options.rounds} rounds of ${runs} inferences`);
for (const [name, all] of [...times].sort(([a], [b]) => a.localeCompare(b))) {
  console.log(`${name.padEnd(34)} ${median(all).toFixed(2)} ms  (${all.map(ms => ms.toFixed(1)).join(' ')})`);
}
session.close();

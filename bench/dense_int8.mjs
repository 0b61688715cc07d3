// The two stacks of strata_bench_matrix_vector (eight LSTM layers of 1024 units over one step, eight
// fully connected layers of 2048 and 4096 features) at every level with int8 values, beside dense
// int8 of ONNX Runtime, which quantises what goes in to 8 bits (DynamicQuantizeLSTM;
// DynamicQuantizeLinear and MatMulInteger). Batch 1, in turns, medians over all rounds.
//
//   npm install onnxruntime-node          (anywhere; --ignore-scripts skips its GPU libraries)
//   node bench/dense_int8.mjs --ort DIR/node_modules/onnxruntime-node \
//     --bench build/release/bench/strata_bench_matrix_vector --threads 1 [--rounds 5] [--values int8]
//
// One thread is timed by the processor time it takes, which other programs change little.
import {execFileSync} from 'node:child_process';
import {median, openRuntime, readOptions, sessionSettings} from './peers.mjs';

const options = readOptions('dense_int8', {threads: '1', rounds: '5', runs: '30', values: 'int8', bench: ''}, ['ort']);
const threads = Number(options.threads);
const ort = openRuntime(options.ort);

// ONNX files are Protocol Buffers: numbers of fields as in onnx.proto.
const varint = value => {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push(value % 128 + 128);
  return Buffer.from([...bytes, value]);
};
const number = (field, value) => Buffer.concat([varint(field * 8), varint(value)]);
const bytes = (field, value) => {
  const data = Buffer.from(value);
  return Buffer.concat([varint(field * 8 + 2), varint(data.length), data]);
};
const message = (field, ...parts) => bytes(field, Buffer.concat(parts));
const FLOAT = 1, UINT8 = 2, INT8 = 3;

const tensor = (name, type, shape, data) =>
  message(5, ...shape.map(size => number(1, size)), number(2, type), bytes(8, name),
          bytes(9, Buffer.from(data.buffer, data.byteOffset, data.byteLength)));
const value = (field, name, shape) =>
  message(field, bytes(1, name),
          message(2, message(1, number(1, FLOAT), message(2, ...shape.map(size => message(1, number(1, size)))))));
const node = (op, inputs, outputs, domain = '', attributes = []) =>
  message(1, ...inputs.map(name => bytes(1, name)), ...outputs.map(name => bytes(2, name)), bytes(3, outputs.find(Boolean)),
          bytes(4, op), ...attributes, bytes(7, domain));
const integer = (name, number_) => message(5, bytes(1, name), number(3, number_), number(20, 2));
const model = (parts, inputs, outputs) =>
  Buffer.concat([number(1, 8), message(7, ...parts, bytes(2, 'main'),
                                       ...inputs.map(([name, shape]) => value(11, name, shape)),
                                       ...outputs.map(([name, shape]) => value(12, name, shape))),
                 message(8, bytes(1, ''), number(2, 17)), message(8, bytes(1, 'com.microsoft'), number(2, 1))]);

const LAYERS = 8, HIDDEN = 1024, NARROW = 2048, WIDE = 4096;
let seed = 1;
const random = () => (seed = seed * 48271 % 2147483647) / 2147483647;
const codes = count => Int8Array.from({length: count}, () => Math.floor(random() * 255) - 127);
const floats = (count, make) => Float32Array.from({length: count}, make);

function lstmStack() {
  const parts = [];
  const rows = 4 * HIDDEN;
  for (let i = 0; i < LAYERS; ++i) {
    const name = part => `layer${i}.${part}`;
    for (const part of ['W', 'R']) {
      parts.push(tensor(name(part), INT8, [1, HIDDEN, rows], codes(HIDDEN * rows)),
                 tensor(name(part + '.scale'), FLOAT, [1, rows], floats(rows, () => 3e-4)),
                 tensor(name(part + '.zero'), INT8, [1, rows], new Int8Array(rows)));
    }
    parts.push(tensor(name('B'), FLOAT, [1, 2 * rows], floats(2 * rows, () => 0)));
    parts.push(node('DynamicQuantizeLSTM',
                    [i === 0 ? 'x' : `h${i - 1}`, name('W'), name('R'), name('B'), '', 'h', 'c', '', name('W.scale'),
                     name('W.zero'), name('R.scale'), name('R.zero')],
                    ['', `h${i}`], 'com.microsoft', [integer('hidden_size', HIDDEN)]));
  }
  const state = [1, 1, HIDDEN];
  return model(parts, [['x', state], ['h', state], ['c', state]], [[`h${LAYERS - 1}`, state]]);
}

function fullyConnectedStack() {
  const parts = [];
  let last = 'x';
  for (let i = 0; i < LAYERS; ++i) {
    const [from, to] = i % 2 === 0 ? [NARROW, WIDE] : [WIDE, NARROW];
    const name = part => `layer${i}.${part}`;
    parts.push(tensor(name('W'), INT8, [from, to], codes(from * to)),
               tensor(name('W.scale'), FLOAT, [to], floats(to, () => 3e-4)), tensor(name('W.zero'), INT8, [to], new Int8Array(to)),
               tensor(name('B'), FLOAT, [to], floats(to, () => 0.01)));
    parts.push(node('DynamicQuantizeLinear', [last], [name('q'), name('scale'), name('zero')]),
               node('MatMulInteger', [name('q'), name('W'), name('zero'), name('W.zero')], [name('sum')]),
               node('Cast', [name('sum')], [name('float')], '', [integer('to', FLOAT)]),
               node('Mul', [name('scale'), name('W.scale')], [name('scales')]),
               node('Mul', [name('float'), name('scales')], [name('product')]),
               node('Add', [name('product'), name('B')], [name('shifted')]),
               node('Relu', [name('shifted')], [name('y')]));
    last = name('y');
  }
  return model(parts, [['x', [1, NARROW]]], [[last, [1, NARROW]]]);
}

const stacks = [];
for (const [name, bytes_, inputs] of [['8 LSTM 1024, one step', lstmStack(), {x: [1, 1, HIDDEN], h: [1, 1, HIDDEN], c: [1, 1, HIDDEN]}],
                                      ['8 fully connected 2048/4096', fullyConnectedStack(), {x: [1, NARROW]}]]) {
  const feeds = {};
  for (const [input, shape] of Object.entries(inputs)) {
    const size = shape.reduce((a, b) => a * b, 1);
    feeds[input] = new ort.Tensor('float32', floats(size, () => random() * 2 - 1), shape);
  }
  stacks.push({name, session: await ort.InferenceSession.create(bytes_, sessionSettings(threads)), feeds, times: [], levels: new Map()});
}

/** Microseconds of an inference of the peer. */
async function burst({session, feeds}) {
  for (let i = 0; i < 3; ++i) await session.run(feeds);
  const times = [];
  for (let i = 0; i < Number(options.runs); ++i) {
    const begin = process.hrtime.bigint();
    const before = process.cpuUsage();
    await session.run(feeds);
    const used = process.cpuUsage(before);
    times.push(threads === 1 ? used.user + used.system : Number(process.hrtime.bigint() - begin) / 1e3);
  }
  return median(times);
}

let head = '';
for (let round = 0; round < Number(options.rounds); ++round) {
  for (const stack of stacks) stack.times.push(await burst(stack));
  if (!options.bench) continue;
  const lines = execFileSync(options.bench, [options.threads, '12', options.values, '1'], {encoding: 'utf8'}).split('\n');
  head = lines[0];
  for (const cells of lines.map(line => line.split('|').map(cell => cell.trim()))) {
    const stack = stacks.find(({name}) => name === cells[1]);
    if (!stack || cells[2] !== '1') continue;
    if (!stack.levels.has(cells[3])) stack.levels.set(cells[3], []);
    stack.levels.get(cells[3]).push(Number(cells[4]));
  }
}
console.log(`${head}\n\n| layers | dense int8, µs | weights | µs | times as fast |\n|---|---:|---:|---:|---:|`);
for (const {name, times, levels} of stacks) {
  const dense = median(times);
  if (levels.size === 0) console.log(`| ${name} | ${dense.toFixed(0)} | | | |`);
  for (const [level, all] of levels) {
    const time = median(all);
    console.log(`| ${name} | ${dense.toFixed(0)} | ${level} | ${time.toFixed(0)} | **${(dense / time).toFixed(2)}** |`);
  }
}

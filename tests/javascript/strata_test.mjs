// The module strata.mjs on a small model, against the answers of the native program.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';

const { STRATA_MODULE, STRATA_EXAMPLE, STRATA_WRITE_TEST_MODEL } = process.env;
const { Session, StrataError } = await import(pathToFileURL(STRATA_MODULE));

const folder = mkdtempSync(join(tmpdir(), 'strata-javascript-'));
after(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'model.strata');
execFileSync(STRATA_WRITE_TEST_MODEL, [path, join(folder, 'answers.f32')]);
const bytes = readFileSync(path);
const answers = new Float32Array(Uint8Array.from(readFileSync(join(folder, 'answers.f32'))).buffer);
const image = Float32Array.from({ length: 3 * 32 * 32 }, (_, i) => ((7919 * i) % 1000) / 1000 - 0.5);

function assertClose(actual, expected) {
  assert.equal(actual.length, expected.length);
  actual.forEach((value, i) => {
    const tolerance = 1e-4 * Math.max(1, Math.abs(expected[i]));
    assert.ok(Math.abs(value - expected[i]) <= tolerance, `[${i}] is ${value}, not ${expected[i]}`);
  });
}
const refusal = (code, message) => (error) => {
  assert.ok(error instanceof StrataError, `${error}`);
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

test('says what a model takes and gives', async () => {
  const session = await Session.create(bytes, { batch: 2 });
  assert.equal(session.levelCount, 2);
  assert.ok(session.stepCount > 5);
  assert.deepEqual(session.inputs, [{ name: 'image', type: 'float32', shape: [2, 3, 32, 32], size: 6144 }]);
  assert.deepEqual(session.outputs, [{ name: 'logits', type: 'float32', shape: [2, 10], size: 20 }]);
  assert.ok(session.memoryBytes > 0);
  session.close();
});

test('answers at every level what the native program answers', async () => {
  const session = await Session.create(bytes);
  for (const level of [0, 1]) {
    const { outputs, route } = session.run(image, { level });
    assertClose(outputs.logits, answers.slice(10 * level, 10 * level + 10));
    assert.deepEqual(route, new Uint8Array(session.stepCount).fill(level));
  }
  assert.notDeepEqual(answers.slice(0, 10), answers.slice(10));
  assertClose(session.run({ image }).outputs.logits, answers.slice(10));
  session.close();
});

test('reads files, array buffers and parts of them', async () => {
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3);
  for (const source of [path, pathToFileURL(path), shifted.buffer.slice(3), shifted.subarray(3)]) {
    const session = await Session.create(source);
    assertClose(session.run(image, { level: 1 }).outputs.logits, answers.slice(10));
    session.close();
  }
});

test('keeps a deadline with the levels that it allows', async () => {
  const session = await Session.create(bytes);
  assert.throws(() => session.run(image, { deadlineMs: 1000 }), refusal('FAILED_PRECONDITION', /profile/));
  session.measureProfile(5);
  const relaxed = session.run(image, { deadlineMs: 60_000 });
  assert.equal(relaxed.met, true);
  assert.ok(relaxed.totalMs > 0 && relaxed.expectedMs > 0);
  assert.equal(relaxed.reroutes, 0);
  assert.deepEqual(relaxed.route, new Uint8Array(session.stepCount).fill(1));
  assertClose(relaxed.outputs.logits, answers.slice(10));

  const low = session.run(image, { deadlineMs: 60_000, highestLevel: 0, policy: 'reroute' });
  assert.deepEqual(low.route, new Uint8Array(session.stepCount));
  assertClose(low.outputs.logits, answers.slice(0, 10));

  const late = session.run(image, { deadlineMs: 0 });
  assert.equal(late.met, false);
  assertClose(late.outputs.logits, answers.slice(0, 10));
  const none = session.run(image, { deadlineMs: 0, giveUp: true });
  assert.equal(none.outputs, null);
  assert.equal(none.met, false);
  session.close();
});

test('drops levels and takes them back', async () => {
  const session = await Session.create(bytes);
  const whole = session.memoryBytes;
  session.dropLevelsAbove(0);
  assert.equal(session.levelCount, 1);
  assert.ok(session.memoryBytes < whole);
  assert.throws(() => session.run(image, { level: 1 }), refusal('OUT_OF_RANGE', /level 1/));
  session.reloadLevels();
  assertClose(session.run(image, { level: 1 }).outputs.logits, answers.slice(10));
  session.close();
  const sparsest = await Session.create(bytes, { maxLevel: 0 });
  assert.equal(sparsest.levelCount, 1);
  sparsest.close();
});

test('says what is wrong', async () => {
  await assert.rejects(Session.create(bytes.subarray(0, 1000)), refusal('DATA_LOSS', /./));
  const damaged = Uint8Array.from(bytes);
  damaged[damaged.length - 100] ^= 1;
  await assert.rejects(Session.create(damaged), refusal('DATA_LOSS', /damaged/));
  await assert.rejects(Session.create(new Uint8Array(0)), StrataError);
  await assert.rejects(Session.create(bytes, { graph: 'decoder' }), refusal('NOT_FOUND', /decoder/));
  await assert.rejects(Session.create(bytes, { batch: 0 }), refusal('INVALID_ARGUMENT', /batch of 0/));

  const session = await Session.create(bytes);
  assert.throws(() => session.run(image.subarray(1)), refusal('INVALID_ARGUMENT', /'image'.*3072.*Float32Array of 3071/));
  assert.throws(() => session.run(new Float64Array(3072)), refusal('INVALID_ARGUMENT', /not Float64Array/));
  assert.throws(() => session.run({ picture: image }), refusal('INVALID_ARGUMENT', /'image'/));
  assert.throws(() => session.run(image, { level: 2 }), refusal('OUT_OF_RANGE', /level 2/));
  assert.throws(() => session.run(image, { level: 0, deadlineMs: 5 }), refusal('INVALID_ARGUMENT', /one of them/));
  assert.throws(() => session.run(image, { deadlineMs: 5, policy: 'hope' }), refusal('INVALID_ARGUMENT', /'hope'/));
  assert.throws(() => session.run(image, { deadlineMs: NaN }), refusal('INVALID_ARGUMENT', /./));
  session.close();
  session.close();
  assert.throws(() => session.run(image), refusal('FAILED_PRECONDITION', /closed/));
  assert.throws(() => session.levelCount, refusal('FAILED_PRECONDITION', /closed/));
});

test('the example runs every level', () => {
  const printed = execFileSync(process.execPath, [STRATA_EXAMPLE, STRATA_MODULE, path], { encoding: 'utf8' });
  assert.match(printed, /level 0: .* ms, class \d\nlevel 1: .* ms, class \d\nwithin .* ms: .* class \d/);
});

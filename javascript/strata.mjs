// strata in JavaScript: runs a .strata file in node or in a browser, one thread, by a level or by a
// deadline. Beside this file lies strata.wasm. docs/javascript.md describes the use.

const CODES = [
  'OK', 'INVALID_ARGUMENT', 'NOT_FOUND', 'OUT_OF_RANGE', 'DATA_LOSS', 'UNSUPPORTED', 'IO_ERROR',
  'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'INTERNAL', 'DEADLINE_EXCEEDED', 'CANCELLED',
];
const POLICIES = ['fixed', 'per-request', 'reroute', 'latest-safe-switch', 'best-route'];
// By the numbers of onnx.TensorProto.DataType.
const TYPES = {
  1: ['float32', Float32Array],
  2: ['uint8', Uint8Array],
  3: ['int8', Int8Array],
  6: ['int32', Int32Array],
  7: ['int64', BigInt64Array],
  9: ['bool', Uint8Array],
};
const MAX_RANK = 8;

/** What went wrong, as one sentence of the runtime; `code` is its kind, as in strata.h. */
export class StrataError extends Error {
  constructor(code, message) {
    super(message);
    this.name = 'StrataError';
    this.code = code;
  }
}

async function read(source) {
  const url = new URL(source, globalThis.location?.href ?? 'file:///');
  if (url.protocol === 'file:') {
    const { readFile } = await import('node:fs/promises');
    return readFile(source instanceof URL || /^file:/.test(source) ? url : source);
  }
  const response = await fetch(url);
  if (!response.ok) throw new StrataError('NOT_FOUND', `${url}: ${response.status} ${response.statusText}`);
  return response.arrayBuffer();
}

let compiled;
function program() {
  compiled ??= read(new URL('./strata.wasm', import.meta.url)).then((bytes) => WebAssembly.compile(bytes));
  return compiled;
}

/** What the program asks of its surroundings: a clock. Files and the like do not exist there. */
function surroundings(module, memory) {
  const NO_SUCH_CALL = 52;
  const numbers = () => new DataView(memory().buffer);
  const provided = {
    clock_time_get(_clock, _precision, at) {
      numbers().setBigInt64(at, BigInt(Math.round(performance.now() * 1e6)), true);
      return 0;
    },
    environ_sizes_get(count, size) {
      numbers().setUint32(count, 0, true);
      numbers().setUint32(size, 0, true);
      return 0;
    },
    environ_get: () => 0,
    emscripten_notify_memory_growth() {},
    proc_exit(code) {
      throw new StrataError('INTERNAL', `the program ended with ${code}`);
    },
  };
  const imports = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (kind !== 'function') continue;
    imports[from] ??= {};
    imports[from][name] = provided[name] ?? (() => (from === 'env' ? -NO_SUCH_CALL : NO_SUCH_CALL));
  }
  return imports;
}

/**
 * One graph of a model, ready to run. Every session has a memory of its own, which close() gives
 * back. Runs are synchronous: in a browser, keep a session in a worker.
 */
export class Session {
  #program;
  #handle = 0;
  #arrays = { inputs: [], outputs: [] };

  /** [{name, type, shape, size}]: what run() takes and returns, in the graph's order. */
  inputs = [];
  outputs = [];

  /**
   * @param source the bytes of a .strata file (ArrayBuffer, Uint8Array), or its URL or, in node, path
   * @param {object} [options]
   * @param {string} [options.graph] which graph of the file; the only one if left out
   * @param {number} [options.batch=1] size of every symbolic dimension
   * @param {number} [options.maxLevel=-1] load levels 0 to maxLevel; -1: all
   */
  static async create(source, { graph, batch = 1, maxLevel = -1 } = {}) {
    const isBytes = source instanceof ArrayBuffer || ArrayBuffer.isView(source);
    const module = await program();
    const bytes = isBytes ? source : await read(source);
    const session = new Session();
    await session.#start(module);
    try {
      session.#open(bytes, graph, batch, maxLevel);
    } catch (error) {
      session.close();
      throw error;
    }
    return session;
  }

  async #start(module) {
    const memory = () => this.#program.memory;
    const { exports } = await WebAssembly.instantiate(module, surroundings(module, memory));
    this.#program = exports;
    exports._initialize();
  }

  #open(bytes, graph, batch, maxLevel) {
    const program = this.#program;
    const content = ArrayBuffer.isView(bytes)
      ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      : new Uint8Array(bytes);
    const file = this.#allocate(Math.max(1, content.length));
    new Uint8Array(program.memory.buffer).set(content, file);
    const place = this.#allocate(4);
    try {
      this.#check(program.strata_model_open_bytes(file, content.length, place));
    } finally {
      program.free(file);
    }
    const model = this.#view(Uint32Array, place, 1)[0];
    const name = graph === undefined ? 0 : this.#text(graph);
    const status = program.strata_session_create(model, name, 1, BigInt(batch), maxLevel, place);
    program.strata_model_close(model);
    program.free(name);
    this.#check(status);
    this.#handle = this.#view(Uint32Array, place, 1)[0];
    program.free(place);
    for (const kind of ['input', 'output']) this.#describe(kind);
  }

  /** Learns the inputs or outputs and gives each an array in the program's memory. */
  #describe(kind) {
    const ask = (what, ...more) => this.#program[`strata_session_${kind}_${what}`](this.#handle, ...more) >>> 0;
    const sizes = this.#allocate(8 * MAX_RANK);
    for (let i = 0; i < ask('count'); ++i) {
      const [type, Type] = TYPES[ask('type', i)];
      const rank = ask('shape', i, sizes, MAX_RANK);
      const shape = Array.from(this.#view(BigInt64Array, sizes, Math.min(rank, MAX_RANK)), Number);
      const size = ask('size', i);
      this[`${kind}s`].push({ name: this.#string(ask('name', i)), type, shape, size });
      const at = this.#allocate(Math.max(1, size * Type.BYTES_PER_ELEMENT));
      this.#arrays[`${kind}s`].push({ at, size, Type });
    }
    this.#program.free(sizes);
    const pointers = this.#arrays[`${kind}s`].map(({ at }) => at);
    const list = this.#allocate(4 * Math.max(1, pointers.length));
    this.#view(Uint32Array, list, pointers.length).set(pointers);
    this.#arrays[`${kind}s`].list = list;
  }

  /** Levels that are loaded; level 0 is the sparsest. */
  get levelCount() {
    return this.#running().strata_session_level_count(this.#handle);
  }
  /** Steps of an inference; before each of them the level may change. */
  get stepCount() {
    return this.#running().strata_session_step_count(this.#handle);
  }
  /** Bytes that weights and activations hold. */
  get memoryBytes() {
    return this.#running().strata_session_memory_bytes(this.#handle) >>> 0;
  }

  /**
   * One inference.
   *
   * @param inputs the only input's typed array, or an object with one for each input by its name
   * @param {object} [options]
   * @param {number} [options.level] run at this level throughout; the least sparse one if neither
   *   this nor a deadline is given
   * @param {number} [options.deadlineMs] answer within so many milliseconds of this call, with the
   *   best level for it at each step. Needs measureProfile()
   * @param {number} [options.nines=3] how sure: 3 means 999 answers of 1000 in time
   * @param {string} [options.policy='best-route'] who chooses the levels: 'best-route', 'reroute',
   *   'latest-safe-switch' or 'per-request'
   * @param {number} [options.highestLevel=-1] by a deadline: the highest level that may be chosen
   * @param {number} [options.reserveMs=0] kept free before the deadline
   * @param {boolean} [options.giveUp=false] give no answer once it is clear that it would be late
   * @param {boolean} [options.adaptive=false] learn from misses how cautious to be
   * @returns {{outputs: ?Object<string, TypedArray>, route: Uint8Array, met: boolean,
   *   reroutes: number, expectedMs: number, totalMs: number, slowdown: number}} outputs by name, null
   *   if it gave up; route: the level of each step that ran
   * @throws {StrataError}
   */
  run(inputs, options = {}) {
    const program = this.#running();
    const { level, deadlineMs, nines = 3, highestLevel = -1, reserveMs = 0 } = options;
    if (level !== undefined && deadlineMs !== undefined) {
      throw new StrataError('INVALID_ARGUMENT', 'a level and a deadline cannot both be kept; give one of them');
    }
    const policy = POLICIES.indexOf(deadlineMs === undefined ? 'fixed' : options.policy ?? 'best-route');
    if (policy < 0) {
      throw new StrataError('INVALID_ARGUMENT', `there is no policy '${options.policy}'; there are: ${POLICIES.join(', ')}`);
    }
    this.#fill(inputs);
    const status = program.strata_flat_run(
      this.#handle, this.#arrays.inputs.list, this.#arrays.outputs.list, policy,
      deadlineMs === undefined ? level ?? this.levelCount - 1 : highestLevel, deadlineMs ?? Infinity,
      nines, reserveMs, options.giveUp ? 1 : 0, options.adaptive ? 1 : 0);
    const late = CODES[status] === 'DEADLINE_EXCEEDED';
    if (!late) this.#check(status);
    return { outputs: late ? null : this.#results(), ...this.#report() };
  }

  /**
   * Measures how long each step takes at each level, which a deadline needs: on this machine, which
   * should be idle. Takes some three seconds; or give the number of inferences per level.
   */
  measureProfile(runs = 0) {
    this.#check(this.#running().strata_session_measure_profile(this.#handle, BigInt(runs)));
  }

  /** Frees the weights above a level, and takes them from the file again. */
  dropLevelsAbove(level) {
    this.#check(this.#running().strata_session_drop_levels_above(this.#handle, level));
  }
  reloadLevels() {
    this.#check(this.#running().strata_session_reload_levels(this.#handle));
  }

  /** Gives the memory back. Afterwards everything but close() throws. */
  close() {
    this.#program = undefined;
    this.#handle = 0;
  }

  #running() {
    if (this.#program === undefined) throw new StrataError('FAILED_PRECONDITION', 'the session is closed');
    return this.#program;
  }

  #fill(inputs) {
    const single = ArrayBuffer.isView(inputs) ? inputs : undefined;
    if (single !== undefined && this.inputs.length !== 1) {
      throw new StrataError('INVALID_ARGUMENT', `the graph has ${this.inputs.length} inputs; give an object with an array for each`);
    }
    this.inputs.forEach(({ name, type, shape }, i) => {
      const { at, size, Type } = this.#arrays.inputs[i];
      const values = single ?? inputs?.[name];
      if (!(values instanceof Type) || values.length !== size) {
        const given = values?.constructor === undefined ? values : `${values.constructor.name} of ${values.length}`;
        throw new StrataError('INVALID_ARGUMENT',
          `input '${name}' must be a ${Type.name} of ${size} elements (${type}, ${shape.join('x')}), not ${given}`);
      }
      this.#view(Type, at, size).set(values);
    });
  }

  #results() {
    return Object.fromEntries(this.outputs.map(({ name }, i) => {
      const { at, size, Type } = this.#arrays.outputs[i];
      return [name, this.#view(Type, at, size).slice()];
    }));
  }

  #report() {
    const program = this.#program;
    const NUMBERS = 7;
    const numbers = this.#allocate(8 * NUMBERS + this.stepCount);
    const levels = numbers + 8 * NUMBERS;
    this.#check(program.strata_flat_report(this.#handle, numbers));
    this.#check(program.strata_flat_route(this.#handle, levels));
    const [steps, , met, reroutes, expectedMs, totalMs, slowdown] = this.#view(Float64Array, numbers, NUMBERS);
    const route = this.#view(Uint8Array, levels, steps).slice();
    program.free(numbers);
    return { route, met: met === 1, reroutes, expectedMs, totalMs, slowdown };
  }

  #allocate(bytes) {
    const at = this.#program.malloc(bytes) >>> 0;
    if (at === 0) throw new StrataError('RESOURCE_EXHAUSTED', `there is no memory for ${bytes} bytes`);
    return at;
  }

  /** Valid until the program's memory grows: never keep it. */
  #view(Type, at, size) {
    return new Type(this.#program.memory.buffer, at, size);
  }

  #text(value) {
    const bytes = new TextEncoder().encode(`${value}\0`);
    const at = this.#allocate(bytes.length);
    this.#view(Uint8Array, at, bytes.length).set(bytes);
    return at;
  }

  #string(at) {
    const memory = new Uint8Array(this.#program.memory.buffer);
    return new TextDecoder().decode(memory.slice(at, memory.indexOf(0, at)));
  }

  #check(status) {
    if (status !== 0) throw new StrataError(CODES[status] ?? 'INTERNAL', this.#string(this.#program.strata_last_error() >>> 0));
  }
}

// What the comparisons with engines of npm share.
import {createRequire} from 'node:module';
import {resolve} from 'node:path';

/// The --name value pairs of the command line over `defaults`. Ends the program if one of `needed` is missing.
export function readOptions(program, defaults, needed) {
  const options = {...defaults};
  for (let i = 2; i + 1 < process.argv.length; i += 2) {
    options[process.argv[i].replace(/^--/, '')] = process.argv[i + 1];
  }
  for (const name of needed) {
    if (options[name]) continue;
    console.error(`${program}: --${name} is missing, see the top of bench/${program}.mjs`);
    process.exit(2);
  }
  return options;
}

export const median = values => [...values].sort((a, b) => a - b)[values.length >> 1];

/// ONNX Runtime for node from the folder of its package.
export const openRuntime = folder => createRequire(import.meta.url)(resolve(folder));

/// Settings of a session of it that others take turns with.
export const sessionSettings = threads => ({
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  executionProviders: ['cpu'],
  graphOptimizationLevel: 'all',
  // Spinning threads would take the processor from whoever's turn it is.
  extra: {session: {'force_spinning_stop': '1'}},
});

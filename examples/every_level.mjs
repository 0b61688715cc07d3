// Runs a .strata file at every level and then by a deadline:
//   node every_level.mjs STRATA.MJS FILE
import { pathToFileURL } from 'node:url';

const [module, file] = process.argv.slice(2);
if (file === undefined) {
  console.error('usage: node every_level.mjs STRATA.MJS FILE');
  process.exit(2);
}
const { Session } = await import(pathToFileURL(module)); // a page: import { Session } from './strata.mjs'
const session = await Session.create(file); // or bytes, or in a page a URL

const [input] = session.inputs;
const [output] = session.outputs;
const image = new Float32Array(input.size).fill(0.5);
const best = (scores) => scores.indexOf(Math.max(...scores));

for (let level = 0; level < session.levelCount; ++level) {
  const { outputs, totalMs } = session.run(image, { level });
  console.log(`level ${level}: ${totalMs.toFixed(2)} ms, class ${best(outputs[output.name])}`);
}

session.measureProfile(20); // how long each step takes here
const deadlineMs = 20;
const { outputs, totalMs, route } = session.run(image, { deadlineMs });
console.log(
  `within ${deadlineMs} ms: ${totalMs.toFixed(2)} ms, from level ${route[0]} to level ${route.at(-1)}, ` +
    `class ${best(outputs[output.name])}`,
);
session.close();

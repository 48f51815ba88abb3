// Loaded first into the Node.js that runs the constructs: prepares CDK's validation while Python imports.
'use strict';
const { basename } = require('node:path');
const { isMainThread } = require('node:worker_threads');

const REQUIRED = 'tracing:module.require:end';
const LIBRARY = /[\\/]node_modules[\\/]aws-cdk-lib[\\/][^\\/]+$/;

function preload() {
  const { setFlagsFromString } = require('node:v8');
  const { subscribe, unsubscribe } = require('node:diagnostics_channel');
  // Node.js compiles WebAssembly a second time, to faster code, after a budget of work. The validation is too
  // short for that to pay, and Node.js cannot end before the compiler has ended.
  setFlagsFromString('--wasm-tiering-budget=2000000000');

  // The CDK command sets CDK_OUTDIR, and always makes the app synthesise. Tests may do neither.
  if (!process.env.CDK_OUTDIR || process.env.CDK_VALIDATION === 'false') return;
  subscribe(REQUIRED, function onRequired({ id }) {
    if (!LIBRARY.test(id)) return;
    unsubscribe(REQUIRED, onRequired);
    // After Python has got the answer to its call, which loaded the library.
    setImmediate(prepareValidation, id);
  });
}

function prepareValidation(library) {
  try {
    // Creates the plugin that the synthesis uses at its end: it finds this one then.
    require(library).CloudFormationValidatePlugin._singletonInstance();
  } catch {
    // Perhaps another version of the library. If the validation cannot work, the synthesis reports that later.
  }
}

// jsii starts a process that starts a second one, program.js, which loads the library.
if (isMainThread && basename(process.argv[1] ?? '') === 'program.js') {
  const own = process.execArgv.indexOf(`--require=${__filename}`);
  if (own >= 0) process.execArgv.splice(own, 1); // Processes that the library starts do not need this module.
  preload();
}

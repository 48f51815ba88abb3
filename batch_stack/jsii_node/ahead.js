// Loaded first into the Node.js that runs the constructs: prepares CDK's validation while Python imports.
'use strict';
const { basename } = require('node:path');
const { isMainThread } = require('node:worker_threads');

const REQUIRED = 'tracing:module.require:end';
const LIBRARY = /[\\/]node_modules[\\/]aws-cdk-lib[\\/][^\\/]+$/;

function hasten() {
  const { setFlagsFromString } = require('node:v8');
  const { subscribe, unsubscribe } = require('node:diagnostics_channel');
  // WebAssembly is compiled once more, to be faster, after a budget of work. The validation ends before that
  // pays, and Node.js cannot end before the compiler does.
  setFlagsFromString('--wasm-tiering-budget=2000000000');

  // The CDK command says where to write, and always has the app synthesise. Tests do not.
  if (!process.env.CDK_OUTDIR || process.env.CDK_VALIDATION === 'false') return;
  subscribe(REQUIRED, function onRequired({ id }) {
    if (!LIBRARY.test(id)) return;
    unsubscribe(REQUIRED, onRequired);
    // After Python got the answer to what it asked.
    setImmediate(prepareValidation, id);
  });
}

function prepareValidation(library) {
  try {
    // Makes what the synthesis would make at its end, and will find there then.
    require(library).CloudFormationValidatePlugin._singletonInstance();
  } catch {
    // Another version of the library, perhaps. If the validation cannot work, it says so in its turn.
  }
}

// jsii starts one process that starts another, program.js, which has the library.
if (isMainThread && basename(process.argv[1] ?? '') === 'program.js') {
  const own = process.execArgv.indexOf(`--require=${__filename}`);
  if (own >= 0) process.execArgv.splice(own, 1); // What the library starts in its turn does without.
  hasten();
}

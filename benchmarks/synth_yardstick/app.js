// The resources of a finished template, synthesised by Node.js alone: `node app.js TEMPLATE`.
const { App, DefaultStackSynthesizer, Stack } = require('aws-cdk-lib/core');
const { CfnInclude } = require('aws-cdk-lib/cloudformation-include');

const app = new App();
// The template brings the check of the bootstrap version with it.
const synthesizer = new DefaultStackSynthesizer({ generateBootstrapVersionRule: false });
const stack = new Stack(app, 'yardstick', { synthesizer });
new CfnInclude(stack, 'Template', { templateFile: process.argv[2] });
app.synth();

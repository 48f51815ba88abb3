"""The Node.js that jsii, the bridge under the constructs, runs on (docs/adr/017). Imports no aws_cdk."""

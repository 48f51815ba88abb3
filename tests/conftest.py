"""What holds for every test.

Random tests draw fresh seeds on a developer's machine, where a find is welcome. In continuous integration
(``CI`` is set) they repeat the same ones, so that a red build is about the change and not about luck.
"""

import os

from hypothesis import settings

CI_SEED = "20261122"

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
    for name in ("BATCH_STACK_FUZZ_SEED", "KILL_SEED"):
        os.environ.setdefault(name, CI_SEED)

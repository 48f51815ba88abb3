"""How much memory the engine holds with many jobs known: its resident size, in a process of its own.

Half of them have run and ended, each with a timeout that was not reached; half wait.
"""

import subprocess
import sys
from typing import Any

JOBS = 100_000
LIMIT_MIB = 300
ENGINE = """
import sys, tempfile
from pathlib import Path
import psutil
from batch_engine.core.model.events import AttemptFinished, AttemptStarted
from batch_engine.local.server.bare import build_bare_engine

class Nobody:  # starts nothing: what becomes of attempts is said below
    def open(self, loop): pass
    def start(self, jobs): pass
    def close(self): pass

jobs = int(sys.argv[1])
resources = {"type": "EC2", "minvCpus": 0, "maxvCpus": 1, "instanceTypes": ["m6g"], "instanceRole": "r",
             "subnets": ["s"]}
container = {"image": "i", "command": ["/bin/sleep", "3600"],
             "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]}
with tempfile.TemporaryDirectory() as folder:
    engine = build_bare_engine(Path(folder), "http://127.0.0.1:1")
    engine.attach(Nobody(), None)
    engine.start()
    engine.call("CreateComputeEnvironment",
                {"computeEnvironmentName": "ce", "type": "MANAGED", "computeResources": resources})
    order = [{"order": 1, "computeEnvironment": "ce"}]
    engine.call("CreateJobQueue", {"jobQueueName": "q", "priority": 1, "computeEnvironmentOrder": order})
    engine.call("RegisterJobDefinition",
                {"jobDefinitionName": "d", "type": "container", "containerProperties": container,
                 "timeout": {"attemptDurationSeconds": 86400}})
    empty = psutil.Process().memory_info().rss
    for number in range(jobs):
        job = engine.call("SubmitJob", {"jobName": f"j{number}", "jobQueue": "q", "jobDefinition": "d"})
        if number < jobs // 2:
            engine.tell(AttemptStarted(job["jobId"], 1))
            engine.tell(AttemptFinished(job["jobId"], 1, 0))
    print(empty, psutil.Process().memory_info().rss)
    engine.stop()
"""


def run() -> dict[str, Any]:
    result = subprocess.run(
        [sys.executable, "-c", ENGINE, str(JOBS)], capture_output=True, text=True, check=True
    )
    empty_mib, full_mib = (int(number) / 2**20 for number in result.stdout.split())
    ratio = full_mib / LIMIT_MIB
    return {
        "jobs": JOBS,
        "empty_mib": empty_mib,
        "full_mib": full_mib,
        "ratio": ratio,
        "says": f"{JOBS} known jobs in {full_mib:.0f} MiB, {ratio:.2f} of the {LIMIT_MIB} MiB allowed "
        f"({empty_mib:.0f} MiB with none)",
    }

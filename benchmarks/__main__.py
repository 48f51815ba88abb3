"""Runs the benchmarks, prints their ratios and writes them to ``benchmarks/results/<name>.json``.

``python -m benchmarks [name ...]`` runs the named ones. Each one measures against a real program in the same
run: ratios can be compared between machines, seconds cannot.
"""

import argparse
import importlib
import json
import os
import platform
import time
from pathlib import Path

NAMES = ("core", "throughput", "array_job", "submit_rate", "waiting_jobs", "memory", "idle", "synth")
RESULTS = Path(__file__).with_name("results")


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(NAMES)}")
    names = parser.parse_args().names or list(NAMES)
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        parser.error(f"no benchmark {unknown[0]}: choose from {', '.join(NAMES)}")
    RESULTS.mkdir(exist_ok=True)
    for name in names:
        result = importlib.import_module(f"benchmarks.{name}").run()
        machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
        record = {
            "benchmark": name,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            **machine,
            **result,
        }
        (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")
        print(f"{name}: {result['says']}")


if __name__ == "__main__":
    main()

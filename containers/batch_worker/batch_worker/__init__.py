"""The worker SDK for AWS Batch: pulls the input, calls your function, pushes its output.

A worker consists of a function and one call::

    from batch_worker import BadInputError, Task, run

    def count_words(task: Task) -> None:
        try:
            text = task.input.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise BadInputError(f"{task.input_uri} is not UTF-8 text: {error}") from error
        (task.output_dir / "words.txt").write_text(str(len(text.split())))

    def main() -> int:
        return run(count_words, name="word-count", version="1.0.0")

`word-count --input s3://in/a.txt --output s3://out/` then writes `s3://out/a.txt/words.txt` and, at the end,
the manifest `s3://out/a.txt/result.json`. Plain paths and `file:///` work in place of `s3://`. Keys and paths
are used unchanged: nothing is URL-decoded. Results are filed under the base name of the input. If you submit
jobs for several folders, put the folder into `--output`.

Exit codes, and how the retry rules of a job definition should treat them:

====  ==============  ========  ========================================================
code  name            retry?    meaning
====  ==============  ========  ========================================================
0     EX_OK           -         every result and the manifest are in place
64    EX_USAGE        no        the command line is wrong
65    EX_DATAERR      no        `BadInputError`: another attempt would get the same input
66    EX_NOINPUT      no        the input does not exist
70    EX_SOFTWARE     no        any other exception: a bug. The log has its traceback
73    EX_CANTCREAT    no        the output does not exist or cannot hold the result
75    EX_TEMPFAIL     **yes**   `TransientError`: throttling, 5xx, lost connection, disk full;
                                or SIGTERM: a reclaimed host (a timeout or TerminateJob is never retried)
77    EX_NOPERM       no        access denied
130   128 + SIGINT    -         interrupted by hand
====  ==============  ========  ========================================================
"""

from batch_worker.errors import (
    AccessDeniedError,
    BadInputError,
    CannotCreateError,
    MissingInputError,
    TransientError,
    UsageError,
    WorkerError,
)
from batch_worker.log import Log
from batch_worker.runner import run
from batch_worker.stop import Interrupted
from batch_worker.task import Task

__all__ = [
    "AccessDeniedError",
    "BadInputError",
    "CannotCreateError",
    "Interrupted",
    "Log",
    "MissingInputError",
    "Task",
    "TransientError",
    "UsageError",
    "WorkerError",
    "run",
]

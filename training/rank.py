"""One rank of a training job, for people without Spark; `trueup train --launcher torchrun` runs exactly this:

    torchrun --standalone --nproc_per_node 2 -m training.rank JOB.json
"""

import json
import sys
from pathlib import Path

from command.process import end_with
from contract.errors import ERROR, TrueupError
from training.fit.failure import report_errors


def main(path: str) -> int:
    """Trains as the rank that the environment names (RANK, WORLD_SIZE); the exit code is 1 after any failure."""
    from training.fit.loop import run

    try:
        with report_errors(job := json.loads(Path(path).read_text())):
            run(job)
    except TrueupError as error:
        print(f"error: {error}", file=sys.stderr)
        return ERROR
    return 0


if __name__ == "__main__":
    end_with(lambda: main(sys.argv[1]))

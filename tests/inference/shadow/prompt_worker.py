"""The shadow's process with ordinary priority: on a machine that is busy with other tests it would wait for minutes."""

from command.process import end_with
from inference.shadow import worker

if __name__ == "__main__":
    worker.step_back = lambda: None
    end_with(worker.main)

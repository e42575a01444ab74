"""Runs one stage on a cluster's primary node, and writes its answer into the root.

    spark-submit /opt/trueup/emr/step.py --root s3://bucket/prefix --request runs/…/request.json
    python3.11 /opt/trueup/emr/step.py --root … --request …              (counting as MapReduce)

Exit code 0 when the stage answered, else 1, so that EMR ends the cluster.
"""

import argparse
import contextlib
import importlib
import io
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__" and not __package__:  # run as a file, whose folder Python puts first on the path
    here = Path(__file__).resolve()
    sys.path[:] = [str(here.parents[1]), *(p for p in sys.path if Path(p or ".").resolve() != here.parent)]

from command.process import end_with
from contract.sections.modules import LOCAL, require_allowed
from contract.storage import open_root
from emr.requests import Attempt, Reply, Request

OURS = ("jobs", "training", "pipeline")  # a request lies in the bucket, and names what is imported: stages
LAST_WORDS = 4000  # characters of a crash that travel back


def run(root: str, key: str) -> Reply:
    """Runs the stage that the request under `key` names, and records its answer."""
    storage = open_root(root)
    attempt = Attempt(storage, key)
    if (done := attempt.read_reply()) is not None:  # EMR started the step again
        return done
    reply = run_request(root, Request.load(storage, key))
    attempt.write_reply(reply)
    return reply


def run_request(root: str, request: Request) -> Reply:
    """Runs the stage; a crash is an answer, too, with the traceback as its last words."""
    output = io.StringIO()
    try:
        if request.module.partition(".")[0] not in OURS:
            require_allowed(request.module, "the stage that was asked for")
        with _write_files(request) as config, contextlib.redirect_stdout(output):
            arguments = ["--root", root, *request.argv, "--config", config, "--json"]
            code = importlib.import_module(request.module).main(arguments)
    except BaseException:  # whatever it is, the driver should show it
        traceback.print_exc()
        return Reply(code=1, document=None, said=traceback.format_exc()[-LAST_WORDS:])
    return Reply(code=code, document=_parse_document(output.getvalue()), said=output.getvalue()[-LAST_WORDS:] if code else "")


def _parse_document(output: str) -> dict[str, Any] | None:
    try:
        document = json.loads(output)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


@contextlib.contextmanager
def _write_files(request: Request) -> Iterator[str]:
    """Writes the run's settings as a file; and for mrjob which Python its tasks run (the nodes' `python3` is 3.9), and that
    they have mrjob already."""
    with tempfile.TemporaryDirectory(prefix="trueup-step-") as folder:
        config, mrjob = Path(folder, "trueup.yaml"), Path(folder, "mrjob.conf")
        config.write_text(json.dumps({name: value for name, value in request.settings.items() if name not in LOCAL}))
        if request.engine == "mapreduce":
            mrjob.write_text(json.dumps({"runners": {"hadoop": {"python_bin": sys.executable, "bootstrap_mrjob": False}}}))
            os.environ["MRJOB_CONF"] = str(mrjob)
        yield str(config)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the step."""
    parser = argparse.ArgumentParser(prog="emr/step.py", description="Run one stage and write its answer.")
    parser.add_argument("--root", required=True)
    parser.add_argument("--request", required=True, help="key of the request document")
    options = parser.parse_args(argv)
    reply = run(options.root, options.request)
    return 0 if reply.final else 1


if __name__ == "__main__":
    end_with(main)

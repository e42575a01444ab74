"""How processes end: with their code, after what they owe, whatever a library does when it is taken apart."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.pipeline.roots import make_root, rows

REPO = Path(__file__).resolve().parents[2]
RUNS = 1000


def run(code, **options):
    """A program as a process."""
    return subprocess.run([sys.executable, "-c", "from command.process import end_with\n" + code], capture_output=True, text=True,
                          cwd=REPO, check=False, **options)


@pytest.mark.parametrize(("body", "code"), [("return 3", 3), ("return 0", 0), ("raise SystemExit(4)", 4), ("raise SystemExit", 0),
                                            ("raise SystemExit('said')", 1), ("raise ValueError('said')", 1)])
def test_the_code_is_the_one_that_was_said(body, code):
    done = run(f"def main():\n    print('x' * 100_000)\n    {body}\nend_with(main)")
    assert (done.returncode, len(done.stdout)) == (code, 100_001), done.stderr
    assert ("said" in done.stderr) == ("said" in body)


def test_threads_are_waited_for_and_what_was_registered_is_run_and_nothing_after_that():
    """An object that a library destroys at the interpreter's end stands for the pools of pyarrow: here it would abort."""
    done = run("""
import atexit, os, threading, time
class Pool:
    def __del__(self, abort=os.abort):
        abort()
pool = Pool()
def work():
    time.sleep(0.05)
    print("thread")
def main():
    atexit.register(print, "registered")
    threading.Thread(target=work).start()
    print("main", end=" ")
    return 4
end_with(main)""")
    assert (done.returncode, done.stdout.split()) == (4, ["main", "thread", "registered"]), done.stderr


@pytest.mark.parametrize(("line", "code"), [("print('x' * 1_000_000)", 1),
                                            ("emit(Outcome(3, {'a': 'x' * 1_000_000}), True); return 3", 3),
                                            ("emit(Outcome(4, text='x' * 1_000_000), False); return 4", 4)])
def test_a_reader_that_goes_away_sees_no_traceback_and_the_code_stays_where_it_is_known(line, code):
    program = ("from command.process import end_with\nfrom command.command import Outcome, emit\n"
               f"def main():\n    {line}\nend_with(main)")
    done = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPO)
    done.stdout.read(10)
    done.stdout.close()
    said = done.stderr.read()
    assert (done.wait(), said) == (code, "")


@pytest.mark.slow("abort")
@pytest.mark.timeout(3600)
def test_no_command_ends_otherwise_than_it_says_in_a_thousand_runs(tmp_path):
    """`trueup lineage` ended with SIGABRT after its right output in 5 of 200 runs (apache/arrow 34314)."""
    root = make_root(str(tmp_path / "root"), right=40, n=60)
    name = rows(60, 40, 60)[0][3]["prediction_id"]
    command = [sys.executable, "-m", "pipeline.cli", "lineage", name, "--root", root]
    codes = Counter(subprocess.run(command, capture_output=True, cwd=REPO, check=False).returncode for _ in range(RUNS))
    assert codes == {0: RUNS}


def test_every_command_ends_so():
    """And the shadow's process. Their processes have pyarrow's threads."""
    folders = ("command", "emr", "inference", "jobs", "pipeline", "training")
    texts = {path: path.read_text() for folder in folders for path in sorted((REPO / folder).rglob("*.py"))}
    programs = {path: text for path, text in texts.items() if 'if __name__ == "__main__":\n' in text}
    assert len(programs) > 20 and not [path for path, text in programs.items() if "\n    end_with(" not in text]

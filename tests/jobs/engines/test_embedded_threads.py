"""What DuckDB imports at first use, it imports before there are threads: two that import at once wait for ever."""

import os
import subprocess
import sys
from pathlib import Path

from tests.jobs import awkward

REPO = Path(__file__).resolve().parents[3]
WATCHED = """
import builtins, sys, threading
seen = set()

class Finder:
    def find_spec(name, path=None, target=None):
        if threading.current_thread() is not threading.main_thread():
            seen.add(name)

sys.meta_path.insert(0, Finder)
from jobs.engines.embedded import engine
from tests.jobs import awkward
storage, days = awkward.day_files(sys.argv[1])
assert len(list(engine.count(storage, days, awkward.QUESTION))) > 1
print(*sorted(seen))
"""


def test_no_thread_that_counts_a_day_imports_a_module_of_duckdbs_clients(tmp_root):
    awkward.write(tmp_root, awkward.rows_of(1), 1)
    env = os.environ | {"PYTHONPATH": str(REPO)}
    said = subprocess.run([sys.executable, "-c", WATCHED, tmp_root], env=env, text=True, capture_output=True, check=True)
    assert [name for name in said.stdout.split() if name.startswith(("numpy", "pandas", "pyarrow", "duckdb"))] == []

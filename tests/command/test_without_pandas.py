"""Our processes start without pandas, which pyarrow imports to look whether values are its; Spark and Petastorm still find it."""

import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
BEFORE = """
import sys
from command.without_pandas import do_without_pandas
do_without_pandas()
import numpy as np, pyarrow as pa, pyarrow.dataset
table = pa.table({"a": [1, None], "s": ["x", None]})
pa.array(np.arange(3)), table["a"].to_numpy(), table.to_pylist()
"""


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_pyarrow_converts_and_imports_no_pandas():
    assert run(BEFORE + "print('pandas' in sys.modules)") == ["False"]


def test_a_library_that_wants_pandas_finds_it_and_pyarrow_then_converts_to_and_from_it():
    assert run(BEFORE + """
sys.modules["petastorm"] = sys
import pandas as pd
print(*table.to_pandas()["s"].isna(), pa.Table.from_pandas(pd.DataFrame({"a": [1.5, None]}))["a"].null_count)
""") == ["False", "True", "1"]


def test_a_pandas_that_is_there_already_stays():
    assert run("import pandas\n" + BEFORE + "import pandas as pd; print(pa.array(pd.Series([1, 2])).type)") == ["int64"]


def test_an_evaluation_of_two_files_imports_nothing_that_it_does_not_use(tmp_path):
    (tmp_path / "p.csv").write_text("prediction_id,predicted_at,predicted_label,confidence\na,2026-11-20T10:00:00Z,cat,0.9\n")
    (tmp_path / "l.csv").write_text("prediction_id,label,labeler,labeled_at\na,cat,ann,2026-11-20T13:00:00Z\n")
    found = run(f"""
import sys
from command.without_pandas import do_without_pandas
do_without_pandas()
from pipeline.cli import main
assert main(["evaluate", "--predictions", {str(tmp_path / "p.csv")!r}, "--labels", {str(tmp_path / "l.csv")!r}, "--json"]) == 0
print("\\n", *sorted({{name.partition(".")[0] for name in sys.modules}}))
""")
    assert not {"pandas", "scipy", "PIL", "rich", "boto3", "fastapi", "pyspark", "torch"} & set(found)
    assert {"duckdb", "pyarrow"} <= set(found)

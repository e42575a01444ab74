"""Who may import whom: the arrows of docs/design.md#rooms, read from every file's syntax tree, imports in functions included."""

import ast
import json
import subprocess
import sys
import time
from collections import Counter
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("command", "contract", "emr", "inference", "jobs", "jvm", "metrics", "notebooks", "pipeline", "training")
# An empty or half-read tree must not pass: at least so many files were there when this was last raised.
AT_LEAST = 240

# importer -> the rooms of ours that it may import, besides its own. There are no other arrows.
MAY_IMPORT = {
    "contract": (),
    "metrics": ("contract",),
    "command": ("contract",),
    "jvm": ("contract",),
    "emr": ("command", "contract", "jvm"),
    "inference": ("command", "contract", "jobs.reports", "metrics.canary", "metrics.planning"),
    "jobs": ("command", "contract", "inference.model", "jvm", "metrics"),
    "notebooks": ("contract", "metrics"),
    "pipeline": ("command", "contract", "emr", "jobs.reports", "jvm", "metrics"),
    "training": ("command", "contract", "inference.model", "jvm", "metrics"),
}

# A record is defined once and rendered for each engine, which is imported inside the function that renders.
RENDERERS = ("contract/records.py", "contract/dataset_record.py")

# heavy library -> the only files that import it
HOMES = {
    "pyspark": ("jvm/*", "jobs/engines/spark/*", "training/fit/launch.py", *RENDERERS),
    "duckdb": ("jobs/engines/embedded/engine.py",),
    "mrjob": ("jobs/evaluate_mapreduce.py",),
    "torch": ("training/*", "inference/model/*"),
    "petastorm": ("jobs/datasets/*", "training/feed/*", "contract/dataset_record.py"),
    "boto3": ("contract/stores/s3.py", "contract/stores/aws_region.py", "emr/*", "pipeline/notifying/references.py"),
    "fastapi": ("inference/*",),
    "httpcore": ("inference/fetching/*",),
    "cryptography": ("pipeline/verifying/signature.py",),
    "openvino": ("inference/model/openvino_network.py",),
    "nncf": ("training/quantise.py",),
    "mlflow": ("command/tracking/mlflow_store.py",),
}
SAME_HOME = {"torchvision": "torch", "botocore": "boto3", "starlette": "fastapi", "uvicorn": "fastapi"}
NOT_AT_IMPORT = {"pyspark", "torch", "torchvision", "duckdb", "pandas", "petastorm", "mrjob", "sklearn", "matplotlib",
                 "cryptography", "openvino", "nncf", "mlflow"}

# A folder with more source files is more than one idea; the exceptions have their reason beside them.
MOST_IN_A_FOLDER = 22
FULLER = {}

# file -> most lines, with the reason beside it; every other file has at most 400
LONGER = {"contract/layout.py": 650}  # a list of every key of the bucket, one small function each


def files():
    """Every source file of ours, as a path relative to the root."""
    found = [path.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("*")]
    return sorted(name for name in found if name.endswith((".py", ".ipynb")) and "/." not in name)


def source(name):
    """Python of a file; of a notebook, its code cells without the shell and magic lines."""
    text = (ROOT / name).read_text()
    if not name.endswith(".ipynb"):
        return text
    cells = ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    return "\n".join(line for cell in cells for line in cell.splitlines() if not line.lstrip().startswith(("%", "!")))


@cache
def tree(name):
    return ast.parse(source(name), name)


def module_name(name):
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def names_in(node, name):
    """Dotted names that an import statement, or a call with a literal name, brings in."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = module_name(name).split(".") + ([""] if name.endswith("__init__.py") else [])
            base = ".".join([*package[: -node.level], *([base] if base else [])])
        return [f"{base}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
        return [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
    return []


def imports(name):
    """(line, dotted name) of everything that a file imports, wherever in it."""
    return [(getattr(node, "lineno", 0), found) for node in ast.walk(tree(name)) for found in names_in(node, name)]


def imports_at_top(name):
    """Dotted names imported when the module is: not in functions, not for type checking only."""
    return imports_when_run(name, leave_out=(ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))


def imports_when_run(name, leave_out=()):
    """Dotted names imported at any time, in functions too, but not for type checking only."""
    pending, found = list(tree(name).body), []
    while pending:
        node = pending.pop()
        if isinstance(node, leave_out):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
            continue
        found.extend(names_in(node, name))
        pending.extend(ast.iter_child_nodes(node))
    return found


def allowed(name):
    return MAY_IMPORT[name.split("/")[0]]


def under(imported, target):
    return imported == target or imported.startswith(target + ".")


def test_the_whole_tree_was_read():
    assert len(files()) >= AT_LEAST


def test_a_folder_holds_one_idea():
    sizes = Counter(str(Path(name).parent) for name in files() if name.endswith(".py") and not name.endswith("__init__.py"))
    assert {folder: n for folder, n in sizes.items() if n > FULLER.get(folder, MOST_IN_A_FOLDER)} == {}


def test_imports_follow_the_arrows():
    wrong = []
    for name in files():
        own = name.split("/")[0]
        for line, imported in imports(name):
            package = imported.split(".")[0]
            if package in PACKAGES and package != own and not any(under(imported, target) for target in allowed(name)):
                wrong.append(f"{name}:{line} imports {imported}; it may import {', '.join(allowed(name)) or 'nothing'}")
    assert wrong == []


def test_every_arrow_is_used():
    """An arrow that nobody needs any more is a door left open."""
    used = {(name.split("/")[0], target) for name in files() for _, imported in imports(name)
            for target in allowed(name) if under(imported, target)}
    assert [(room, target) for room, targets in MAY_IMPORT.items() for target in targets if (room, target) not in used] == []


def test_heavy_libraries_stay_at_home():
    """Naming a library's class in an annotation, under TYPE_CHECKING, is no use of it."""
    wrong = []
    for name in files():
        if name.startswith("notebooks/"):
            continue
        for imported in imports_when_run(name):
            library = imported.split(".")[0]
            homes = HOMES.get(SAME_HOME.get(library, library))
            if homes and not any(fnmatch(name, home) for home in homes):
                wrong.append(f"{name} imports {library}; its home is {', '.join(homes)}")
    assert wrong == []


def test_petastorm_is_in_two_files_at_most():
    users = {name for name in files() for _, imported in imports(name) if under(imported, "petastorm")}
    users -= set(RENDERERS)
    assert len(users) <= 2, f"one writes and one reads; found {sorted(users)}"


def test_contract_is_light_to_import():
    wrong = [
        f"{name} imports {imported} when it is imported; do it inside the function that needs it"
        for name in files()
        if name.startswith("contract/")
        for imported in imports_at_top(name)
        if imported.split(".")[0] in NOT_AT_IMPORT
    ]
    assert wrong == []


def test_no_import_cycles():
    modules = {module_name(name): name for name in files() if name.endswith(".py")}

    def target(imported):
        while imported and imported not in modules:
            imported = imported.rpartition(".")[0]
        return imported

    # A package imports nothing by holding modules; an edge to a package counts only for what its __init__ imports.
    # Imports inside functions count, too: a knot that is tied late is a knot.
    edges = {one: {target(name) for name in imports_when_run(path)} - {"", one} for one, path in modules.items()}
    assert find_cycle(edges) is None


def find_cycle(edges):
    """One cycle as a list of modules, or None."""
    done, trail = set(), []

    def visit(node):
        if node in trail:
            return [*trail[trail.index(node) :], node]
        if node in done:
            return None
        trail.append(node)
        found = next(filter(None, map(visit, sorted(edges.get(node, ())))), None)
        trail.pop()
        done.add(node)
        return found

    return next(filter(None, map(visit, sorted(edges))), None)


def test_the_cycle_finder_finds_cycles():
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert find_cycle({"a": {"b", "c"}, "b": {"c"}}) is None


def test_every_module_says_what_it_is_for():
    modules = [name for name in files() if name.endswith(".py") and tree(name).body]
    silent = [name for name in modules if not ast.get_docstring(tree(name))]
    assert silent == []


def test_files_stay_readable_in_one_sitting():
    lengths = {name: len((ROOT / name).read_text().splitlines()) for name in files() if name.endswith(".py")}
    assert {name: lines for name, lines in lengths.items() if lines > LONGER.get(name, 400)} == {}
    assert [name for name in LONGER if lengths.get(name, 0) <= 400] == [], "no longer needs its exception"


def test_the_command_line_loads_no_engine():
    script = "import sys, pipeline.cli; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "pipeline" in loaded
    assert NOT_AT_IMPORT & set(loaded) == set()


def test_help_answers_in_half_a_second():
    command = [str(Path(sys.executable).with_name("trueup")), "--help"]
    times = []
    for _ in range(5):
        began = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.monotonic() - began)
        if times[-1] < 0.5:
            return
    assert min(times) < 0.5

"""contract/layout.py is the one place that writes keys: text anywhere else in the source that looks like one is found."""

import ast
import re
from functools import cache

from tests.test_architecture import files, tree

HERE = "contract/layout.py"
FILE = r"[a-z_]+\.(?:html|json|parquet|safetensors)"

# file -> what looks like a key there, with the reason beside it: text that merely has the form of one.
ELSEWHERE = {
    # Patterns of IAM, whose `*` crosses slashes; tests/emr/test_access.py holds them against the keys that runs touch.
    "emr/access.py": None,
    # For people: where a published schema's documents lie.
    "contract/documents/schemas.py": None,
    # Templates of partitions, as Athena's partition projection wants it.
    "metrics/sql.py": ("dt=${dt}", "model=${model}/evaluation=${evaluation}"),
    # Names under which documents are remembered in memory.
    "inference/labelling/queue.py": ("batch-{}", "answer-{}-{}"),
    # Names of templates, and of the copy of a report that a browser is shown.
    "jobs/report.py": ("report.html",),
    "jobs/reports/index.py": ("index.html",),
    "jobs/reports/page.py": ("report.html",),
    # A file in a temporary folder.
    "training/publish.py": ("weights.safetensors",),
}


def literals(name):
    """(line, text) of every literal of a file but docstrings; `{}` stands for what an f-string puts in."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    left_out = {id(node.body[0].value) for node in ast.walk(tree(name))
                if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.JoinedStr):
            left_out |= {id(part) for part in node.values}
            yield node.lineno, "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in left_out:
            yield node.lineno, node.value


@cache
def words_of_keys():
    """What keys are made of, read from layout.py itself: top folders, names of files, and beginnings such as `owner-`."""
    texts = [text for _, text in literals(HERE)]
    file_names = {found for text in texts for found in re.findall(rf"(?:^|[/}}])({FILE})$", text)}
    beginnings = {found for text in texts for found in re.findall(r"(?:^|[/}])([a-z]+[-=])\{", text)}
    folders = {found[0] for text in texts if (found := re.match(r"[a-z]+/", text))}
    return tuple(folders), file_names, beginnings


def looks_like_a_key(text):
    folders, file_names, beginnings = words_of_keys()
    if re.search(r"\s", text):
        return False  # a sentence
    first, *deeper = re.split(r"[/}]", text)
    return (text.startswith(folders) or text.rpartition("/")[2].rpartition("}")[2] in file_names
            or any(segment.startswith(tuple(beginnings)) for segment in (first, *deeper)))


def test_keys_are_written_in_layout_alone():
    wrong = [f"{name}:{line} writes {text!r}" for name in files() if name.endswith(".py") and name != HERE
             for line, text in literals(name)
             if looks_like_a_key(text) and not (name in ELSEWHERE and text in (ELSEWHERE[name] or (text,)))]
    assert wrong == [], "contract/layout.py has, or should have, a function for it"


def test_every_exception_is_needed():
    unused = {name: texts for name, texts in ELSEWHERE.items()
              if not (found := {text for _, text in literals(name) if looks_like_a_key(text)}) or not found >= set(texts or ())}
    assert unused == {}


def test_the_finder_knows_the_keys_of_layout():
    folders, file_names, beginnings = words_of_keys()
    assert len(folders) == 20 and len(file_names) >= 17
    assert beginnings >= {"dt=", "owner-", "beat-", "batch-", "answer-", "plan-", "items-", "part-", "done-", "compare-"}


def test_the_finder_finds_what_was_written_elsewhere():
    for text in ("evaluation.json", "{}decision.json", "claim.json", "report.html", "datasets/", "erasures/", "keys/",
                 "samples/{}/", "beat-{}", "{}beat-{}.json", "owner-{}.json", "end.json", "card.json", "dt=",
                 "weights.safetensors", "{}plan-{}/done-{}.parquet", "images/{}/{}."):
        assert looks_like_a_key(text), text
    for text in ("model.json", "expected evaluation.json, got none", "/reports/{model}", "image/jpeg", "{}/answer.json.gz"):
        assert not looks_like_a_key(text), text

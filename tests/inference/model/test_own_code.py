"""What a module of the user's own does while it is imported is an error that says what and where, never a traceback."""

import pytest

from contract.errors import UsageError
from inference.model.own_code import import_function


@pytest.mark.parametrize(("source", "said"), [
    ("x = 1\nraise RuntimeError('no licence\\nfound')", r"raised RuntimeError \(odd_\d.py, line 2\): no licence found\. Correct"),
    ("raise SystemExit(2)", r"its code ended with SystemExit: 2\. A module that"),
    ("1 / 0", r"raised ZeroDivisionError \(odd_\d.py, line 1"),
    ("def f(:\n", r"importing odd_\d raised SyntaxError: invalid syntax \(odd_\d.py, line 1\)\."),
    ("import no_such_module_here", "got No module named 'no_such_module_here'. Install it, or name its folder in PYTHONPATH"),
    ("g = 1", r"but odd_\d \(.*odd_\d.py\) has no f\.$"), ("f = 1", "expected a function, got int")])
def test_a_module_that_cannot_be_imported_is_said(tmp_path, monkeypatch, request, source, said):
    module = f"odd_{request.node.callspec.indices['source']}"
    (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TRUEUP_ALLOW_MODULES", f"[{module}]")
    with pytest.raises(UsageError, match=said):
        import_function(f"{module}:f", "serve.redact")

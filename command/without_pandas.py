"""A process of ours without pandas, until Spark or Petastorm want it.

With the first value that it converts, pyarrow imports pandas to see whether the value is one of its: nearly half of the processor
time of a small evaluation, for a library that nothing of ours uses.
"""

import sys

WANT_PANDAS = ("pyspark", "petastorm", "torch")  # they use it themselves; torch looks whether it is there


class _WithoutPandas:
    """A finder of modules (`sys.meta_path`) that knows one only: there is no pandas."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Raises ModuleNotFoundError, which pyarrow takes for an answer, for pandas; leaves the others to other finders."""
        if name == "pandas" and not any(wanting in sys.modules for wanting in WANT_PANDAS):
            raise ModuleNotFoundError("not imported here: nothing uses it (command/without_pandas.py)", name=name)


def do_without_pandas() -> None:
    """Keeps pyarrow from importing pandas in this process. Only for processes of our own: another program may use it."""
    if "pandas" not in sys.modules and _WithoutPandas not in sys.meta_path:
        sys.meta_path.insert(0, _WithoutPandas)

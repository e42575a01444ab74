"""Words as 32-bit codes, so that Spark's hash aggregate, which wants buffers of fixed width, can hold them.

Labels, versions and labelers of a log are few words said often. One small job collects the different words with their
hashes under several salts; the first salt under which all hashes differ gives the codes, so a code means one word.
"""

import secrets
from dataclasses import dataclass
from typing import Any

from contract.errors import Mismatch
from jobs.engines.spark_tables import collected

SALTS = 8
NOTHING = 0  # the code of null; no word may have it


@dataclass(frozen=True)
class Codes:
    """`sql(column)` is the code of a text column; `words` holds the words in the order of `numbers`, their codes."""

    salt: int
    numbers: Any  # int64, ascending
    words: Any  # pyarrow strings

    def sql(self, column: str) -> str:
        """SQL: the code of a text, as int; 0 for null."""
        return f"if({column} is null, {NOTHING}, {_hash(self.salt, column)})"

    def texts(self, numbers: Any) -> Any:
        """The words of an int64 array of codes as a pyarrow array; code 0 is null. Mismatch for a code of no word."""
        import numpy as np
        import pyarrow as pa

        missing = numbers == NOTHING
        if not np.isin(numbers[~missing], self.numbers).all():
            raise Mismatch("expected the words of the files as they were read first, Spark found others. A file changed "
                           "while it was read: start again.")
        place = np.searchsorted(self.numbers, numbers) * ~missing
        return pa.DictionaryArray.from_arrays(pa.array(place.astype(np.int32), mask=missing), self.words)


def _hash(salt: int, column: str) -> str:
    return f"hash({salt}, {column})"


def words(rows: Any, *columns: str) -> Any:
    """The words of text columns one below the other, from one reading of the rows."""
    return rows.select(*columns).unpivot([], list(columns), "c", "s").select("s")


def learn(columns: list[Any]) -> Codes | None:
    """The codes of all words in these one-column DataFrames; None when under every salt two words share one."""
    import numpy as np
    import pyarrow as pa

    salts = [secrets.randbelow(2**31) for _ in range(SALTS)]
    every = columns[0].toDF("s")
    for more in columns[1:]:
        every = every.unionAll(more.toDF("s"))
    found = collected(every.where("s is not null").distinct().selectExpr("s", *(
        f"bigint({_hash(salt, 's')}) h{n}" for n, salt in enumerate(salts))))
    for n, salt in enumerate(salts):
        numbers = found.column(f"h{n}").to_numpy()
        if len(np.unique(numbers)) == len(numbers) and NOTHING not in numbers:
            order = np.argsort(numbers)
            words = found.column("s").take(pa.array(order))
            return Codes(salt, numbers[order], pa.concat_arrays([pa.array([], pa.string()), *words.chunks]))
    return None

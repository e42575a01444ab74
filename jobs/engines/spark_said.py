"""What the ids said (`spark_ids`), back in words: the counts tables and row counts of each day."""

from collections.abc import Mapping
from typing import Any

from contract.counts import ORIGINS, TABLES
from jobs.engines import spark_ids as ids
from jobs.engines.spark_codes import Codes


def rare(found: Any) -> int:
    """How many ids were left to the general plan."""
    return int(column(found, "n")[column(found, "r") == ids.RARE].sum())


def column(found: Any, name: str) -> Any:
    """An int64 column as a numpy array; null as 0."""
    import pyarrow.compute as pc

    return pc.fill_null(found.column(name), 0).to_numpy()


def tables(found: Any, codes: Codes) -> dict[str, Any]:
    """The counts tables of one day's records, keys in any order and perhaps twice; `slices` is empty."""
    made = {"cells": _cells, "people": _people, "delays": _delays, "coincidences": _coincidences}
    of = {"cells": ids.CELL, "people": ids.VOTE, "delays": ids.VOTE, "coincidences": ids.PAIR}
    kinds = column(found, "r")
    columns = {name: column(found, name) for name in found.column_names}
    return {name: _table(name, made[name]({c: v[kinds == of[name]] for c, v in columns.items()}, codes)) if name in made
            else record.arrow().empty_table() for name, record in TABLES.items()}


def _table(name: str, columns: Mapping[str, Any]) -> Any:
    import pyarrow as pa

    return pa.table({c: columns[c] for c in TABLES[name].names})


def _cells(c: Mapping[str, Any], codes: Codes) -> dict[str, Any]:
    import numpy as np
    import pyarrow as pa

    low = c["k2"] & ids.LOW
    bin_, origin, saw, split = low & 31, low >> 5 & 7, low >> 8 & 3, low >> 10 & 3
    rank = (low >> 16) - 16
    weights = {"n_weighted": c.get("n_weighted", np.zeros(len(low), np.int64))} | _weights(c)
    return {"model_version": codes.texts(c["k1"] >> 32), "predicted": codes.texts(_int(c["k1"])),
            "confidence_bin": pa.array(bin_, pa.int32(), mask=bin_ == ids.NO_BIN), "label": codes.texts(c["k2"] >> 32),
            "origin": _origins(origin), "saw_prediction": pa.array(saw == 2, mask=saw == 0),
            "rank": pa.array(rank, pa.int32(), mask=rank == 0), "split": pa.array(split == 1, mask=split == ids.NO_SPLIT),
            "n": c["n"], "sum_confidence": c["m"], **weights}


def _weights(c: Mapping[str, Any]) -> dict[str, Any]:
    """The sums of weights and of their squares, as 38-digit decimals."""
    import pyarrow as pa

    exact = pa.decimal128(38, 0)
    if "weight" not in c:
        nothing = pa.nulls(len(c["n"]), exact).fill_null(0)
        return {"sum_weight": nothing, "sum_weight_squared": nothing}
    high, cross, low = (c[name].astype(object) for name in ("high2", "cross", "low2"))
    squares = (high << 2 * ids.WEIGHT_BITS) + (cross << ids.WEIGHT_BITS + 1) + low
    return {"sum_weight": pa.array(c["weight"]).cast(pa.decimal128(19, 0)).cast(exact),
            "sum_weight_squared": _decimals(squares)}


def _decimals(numbers: Any) -> Any:
    from decimal import Decimal

    import pyarrow as pa

    return pa.array([Decimal(n) for n in numbers], pa.decimal128(38, 0))


def _int(numbers: Any) -> Any:
    """The low 32 bits as a signed number."""
    import numpy as np

    return (numbers & ids.LOW).astype(np.uint32).view(np.int32).astype(np.int64)


def _origins(places: Any) -> Any:
    import numpy as np
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int32), mask=places == ids.NO_ORIGIN), pa.array(ORIGINS))


def _people(c: Mapping[str, Any], codes: Codes) -> dict[str, Any]:
    return {"labeler": codes.texts(_int(c["k1"])), "votes": c["n"], "agreements": c["m"]}


def _delays(c: Mapping[str, Any], codes: Codes) -> dict[str, Any]:
    return {"days": c["k2"], "origin": _origins(c["k1"] >> 32), "n": c["n"]}


def _coincidences(c: Mapping[str, Any], codes: Codes) -> dict[str, Any]:
    """A pair of votes stands for two ordered pairs."""
    import numpy as np

    one, other = c["k1"] >> 32, _int(c["k1"])
    return {"label": codes.texts(np.concatenate([one, other])), "other_label": codes.texts(np.concatenate([other, one])),
            "votes": np.concatenate([c["k2"]] * 2), "n": np.concatenate([c["n"]] * 2)}


def statuses(found: Any) -> list[dict[str, Any]]:
    """The same day's row counts in the form of the general plan's records: table, name, value, n."""
    kinds, k1, n = (column(found, name) for name in ("r", "k1", "n"))
    said = [_status(int(k), int(m)) for k, m in zip(k1[kinds == ids.SAID], n[kinds == ids.SAID], strict=True)]
    ours = {"table": "predictions", "name": "ok", "value": "ours", "n": int(n[kinds == ids.CELL].sum())}
    return [*said, ours, {"table": "rows", "name": "vote", "value": None, "n": int(n[kinds == ids.VOTE].sum())}]


def _status(k: int, n: int) -> dict[str, Any]:
    if k in ids.STATUS:
        return {"table": "rows", "name": ids.STATUS[k], "value": None, "n": n}
    return {"table": "predictions", "name": ids.PREDICTION_KINDS[k // 2], "value": "ours" if k % 2 else "others", "n": n}

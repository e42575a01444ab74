"""What the labelled rows of an origin class add up to, from the cells of a day."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from contract.counts import ORIGINS, Origin

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Sums:
    """What the labelled rows of one origin add up to; whole numbers, so days add exactly."""

    n: int = 0
    right: int = 0
    n_weighted: int = 0
    weight: int = 0
    weight_squared: int = 0
    weight_right: int = 0
    weight_squared_right: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, name) + getattr(other, name) for name in NAMES))

    @property
    def weighted(self) -> bool:
        """Some weights are known, and the weighted share can differ from the plain one: a row's weight is unknown, or
        they are not all equal (equality in Cauchy and Schwarz)."""
        unequal = self.weight * self.weight != self.n_weighted * self.weight_squared
        return self.n_weighted > 0 and (unequal or self.n_weighted < self.n)


NAMES = [f.name for f in fields(Sums)]


def sums_by_origin(table: "pa.Table") -> dict[str, dict[str, Sums]]:
    """Arrow cells -> version -> origin class -> sums over its labelled rows; the origin "" holds the unlabelled."""
    import pyarrow as pa
    import pyarrow.compute as pc

    right = pc.fill_null(pc.equal(table.column("label"), table.column("predicted")), False)
    columns = {"version": table.column("model_version"), "origin": pc.fill_null(table.column("origin"), ""),
               "right": right, "n": table.column("n"), "n_weighted": table.column("n_weighted"),
               "weight": table.column("sum_weight"), "weight_squared": table.column("sum_weight_squared")}
    values = ["n", "n_weighted", "weight", "weight_squared"]
    grouped = pa.table(columns).group_by(["version", "origin", "right"]).aggregate([(v, "sum") for v in values])
    found: dict[str, dict[str, Sums]] = {}
    for row in grouped.to_pylist():
        n, n_weighted, weight, squared = (int(row[f"{v}_sum"] or 0) for v in values)
        part = Sums(n, 0, n_weighted, weight, squared)
        if row["right"]:
            part = Sums(n, n, n_weighted, weight, squared, weight, squared)
        origins = found.setdefault(row["version"], {})
        origins[row["origin"]] = origins.get(row["origin"], Sums()) + part
    return found


def select_labelled(origins: dict[str, Sums]) -> dict[Origin, Sums]:
    """Only the origins that have labelled rows, highest class first."""
    return {o: origins[o] for o in ORIGINS if o in origins}

"""A quantity that is known between two bounds: hours, dollars. Two spans add bound by bound."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Span:
    """From `low` to `high`, neither of them negative; the two are the same where nothing is uncertain."""

    low: float
    high: float

    @classmethod
    def of(cls, value: float) -> Self:
        """Makes the span of one value."""
        return cls(value, value)

    def __add__(self, other: "Span") -> "Span":
        return Span(self.low + other.low, self.high + other.high)

    def __mul__(self, other: "Span | float") -> "Span":
        factor = other if isinstance(other, Span) else Span.of(other)
        return Span(self.low * factor.low, self.high * factor.high)

    def to_dict(self, digits: int = 4) -> dict[str, float]:
        """Writes both bounds, rounded."""
        return {"low": round(self.low, digits), "high": round(self.high, digits)}

    def to_text(self) -> str:
        """Writes dollars: one figure, or two where they differ by a cent."""
        low, high = f"${self.low:,.2f}", f"${self.high:,.2f}"
        return low if low == high else f"{low} to {high}"


NOTHING = Span(0.0, 0.0)

"""For how long what was made of a day's files is good: what counts and items of the same rows have in common."""

from typing import TYPE_CHECKING


class KnownTimes:
    """Beside a document with `inputs`, `known_through` and `next_future` (microseconds since 1970 UTC)."""

    if TYPE_CHECKING:  # fields of the documents, in an order of their own
        inputs: str
        known_through: int
        next_future: int | None

    @property
    def name(self) -> str:
        """`<inputs>/<known_through>`, by which an evaluation names the counts, and the items of the same rows."""
        return f"{self.inputs}/{self.known_through}"

    def is_good_at(self, as_of: int) -> bool:
        """Whether nothing became known between what was made and `as_of`."""
        return self.known_through <= as_of and (self.next_future is None or as_of < self.next_future)

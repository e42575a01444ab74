"""Names and counts as people say them."""

from contract.texts.figures import write_number


def count(n: int, one: str, many: str = "") -> str:
    """Writes `1 label`, `1,043 labels`; `many` where the plural is no s."""
    return f"{write_number(n)} {one if n == 1 else many or one + 's'}"


def name_top_k(k: int) -> str:
    """Names the figure of how often the label is among the first k guesses."""
    return "Label is the first guess" if k == 1 else f"Label is among the first {k} guesses"

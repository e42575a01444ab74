"""Names of figures as people say them."""


def name_top_k(k: int) -> str:
    """Names the figure of how often the label is among the first k guesses."""
    return "Label is the first guess" if k == 1 else f"Label is among the first {k} guesses"

"""Values of measures of pictures (contract/measured/measures.py) as people read them."""

from contract.texts.figures import NOTHING, write_number

DIGITS = {"brightness": 2, "contrast": 2, "sharpness": 3, "red": 3, "blue": 3, "aspect": 2}


def write_value(measure: str, value: float | None) -> str:
    """Writes a value of a measure: 0.31, or 48,210 (pixels, bytes); a dash for none."""
    if value is None:
        return NOTHING
    return write_number(value, DIGITS[measure]) if measure in DIGITS else write_number(round(value))

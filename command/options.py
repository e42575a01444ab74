"""Types of options that click lacks, and what is refused of any argument."""

import math
from collections.abc import Sequence
from typing import Any

import click

from contract.storage import check_text

MOST = 1_000_000_000  # of whatever is counted: items, batches, pixels


class FiniteRange(click.FloatRange):
    """A number within bounds: neither NaN, which is within none, nor an infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Reads the number; click's usage error when it is none, not finite, or out of bounds."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r}: expected a finite number.", param, ctx)
        return number


def check_arguments(arguments: Sequence[str]) -> None:
    """Raises UsageError for an argument with a NUL, or with bytes that are no UTF-8: nothing of ours could hold it."""
    for argument in arguments:
        check_text(argument, "argument")

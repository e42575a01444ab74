"""How figures are written for people, one way everywhere: command line, pages, reports, notebooks (JSON has the numbers).

    96.9% (94.4 to 98.3%)    a share, with as many decimals as its interval deserves
    +1.2 points              a change of a share, in percentage points
    1,043                    a count

tests/contract/texts/test_figures.py finds figures that are written in any other way.
"""

from collections.abc import Mapping
from typing import Any

NOTHING = "–"  # for what could not be computed
WIDE, NARROW = 0.1, 0.005  # intervals wider than this get no decimal, narrower ones two
CENT = 100  # from here on a cost needs no decimal
CHANCES = (0.0001, 0.999)  # probabilities beyond these are written as "under" and "over"


def write_figure(figure: Mapping[str, Any]) -> str:
    """Writes a share with its interval, `96.9% (94.4 to 98.3%)`; without one the share alone, without a value a dash."""
    value = write_share(figure)
    return f"{value} ({between})" if figure.get("value") is not None and (between := write_interval(figure)) else value


def write_share(figure: Mapping[str, Any]) -> str:
    """Writes a share in percent, `96.9%`; a dash when it has no value."""
    value = figure.get("value")
    return NOTHING if value is None else f"{100 * value:.{_count_decimals(figure)}f}%"


def write_interval(figure: Mapping[str, Any]) -> str:
    """Writes the interval of a share, `94.4 to 98.3%`; empty when there is none."""
    low, high = figure.get("low"), figure.get("high")
    if low is None or high is None:
        return ""
    places = _count_decimals(figure)
    return f"{100 * low:.{places}f} to {100 * high:.{places}f}%"


def _count_decimals(figure: Mapping[str, Any]) -> int:
    low, high = figure.get("low"), figure.get("high")
    if low is None or high is None:
        return 1
    return 0 if high - low > WIDE else 1 if high - low > NARROW else 2


def write_percent(value: float | None, places: int = 0) -> str:
    """Writes a share that has no interval, `8%`; a dash for null."""
    return NOTHING if value is None else f"{100 * value:.{places}f}%"


def write_chance(p: float) -> str:
    """Writes a probability in percent with two figures, `1.4%`; beyond what anybody tells apart `under 0.01%`, `over 99.9%`."""
    return "under 0.01%" if p < CHANCES[0] else "over 99.9%" if p > CHANCES[1] else f"{float(f'{100 * p:.2g}'):g}%"


def write_bound(value: float) -> str:
    """Writes a bound or a level as it was set, `92.5%`."""
    return f"{round(100 * value, 10):g}%"


def write_points(figure: Mapping[str, Any]) -> str:
    """Writes a change of a share with its interval in percentage points, `+1.2 points (-0.3 to +2.7)`."""
    if figure.get("value") is None:
        return NOTHING
    value = f"{write_change(figure['value'])} points"
    low, high = figure.get("low"), figure.get("high")
    return value if low is None or high is None else f"{value} ({write_change(low)} to {write_change(high)})"


def write_change(value: float | None) -> str:
    """Writes a change of a share in percentage points, `+1.2`; a dash for null."""
    return NOTHING if value is None else f"{round(100 * value, 1) + 0.0:+.1f}"


def write_size(difference: float) -> str:
    """Writes how large a difference of shares is, without its direction, `6 points`."""
    points = abs(round(100 * difference, 1))
    return f"{points:g} point{'' if points == 1 else 's'}"


def write_number(value: float | None, places: int = 0) -> str:
    """Writes `1,234` or, with three places, `0.123`; a dash for null."""
    return NOTHING if value is None else f"{value:,.{places}f}"


def write_costs(figure: Mapping[str, Any]) -> str:
    """Writes a cost per 1,000 predictions with its interval, `83.2 (70.1 to 97.5)`; a dash when it has no value."""
    value, low, high = (figure.get(name) for name in ("value", "low", "high"))
    between = f" ({write_cost(low)} to {write_cost(high)})" if low is not None and high is not None else ""
    return NOTHING if value is None else f"{write_cost(value)}{between}"


def write_cost(value: float | None) -> str:
    """Writes a cost with as many decimals as it deserves, `1,234`, `83.2`, `0.51`; a dash for null."""
    return write_number(value, 0 if value is None or value >= CENT else 1 if value >= 1 else 2)


def write_price(value: float) -> str:
    """Writes a cost as it was set, `1`, `0.2`, `1,500`."""
    return f"{value:,.10g}"


def write_count(n: int, noun: str, many: str = "") -> str:
    """Writes how many of something there are, `1 epoch`, `1,043 rows`; `many`: where the plural takes no s, nor es after one."""
    return f"{n:,} {noun if n == 1 else many or noun + ('es' if noun.endswith('s') else 's')}"


def write_moment(text: str) -> str:
    """Writes 2026-11-21T08:00:00.000000Z as people do, to the minute: `2026-11-21 08:00 UTC`."""
    return f"{text[:10]} {text[11:16]} UTC"


def write_setting(value: Any) -> str:
    """Writes the value of a setting as trueup.yaml has it, `true`, `light`, `0.0003162`; numbers with four figures."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)

"""Declared slices as DuckDB statements over the table `joined` (cells.join_slice_columns)."""

from contract.clock import US_PER_HOUR
from contract.counts import MOST_SLICE_VALUES, OTHER
from jobs.engines.embedded.sql import floor_div, literal, origin_word
from jobs.engines.question import BANDS, Slice


def count_slice(slice_: Slice) -> str:
    """Counts one declared slice: at most 200 values by number of predictions (ties: smaller bytes first), then 'other'."""
    return f"""WITH valued AS (SELECT {slice_value(slice_.expression)} AS value, * FROM joined),
    kept AS (SELECT value FROM valued WHERE value IS NOT NULL GROUP BY value ORDER BY count(*) DESC, value
        LIMIT {MOST_SLICE_VALUES})
    SELECT {literal(slice_.name)} AS slice, CASE WHEN value IS NULL OR value IN (SELECT value FROM kept) THEN value
        ELSE {literal(OTHER)} END AS value, version AS model_version, {origin_word("class")} AS origin, predicted, label,
        count(*) AS n, count(w) AS n_weighted, coalesce(sum(w), 0)::DECIMAL(38, 0) AS sum_weight,
        coalesce(sum(w::HUGEINT * w), 0)::DECIMAL(38, 0) AS sum_weight_squared
    FROM valued GROUP BY ALL"""


def slice_value(expression: str) -> str:
    """Returns a slice's value as text; null stays null."""
    if expression == "hour":
        return f"lpad(CAST((({floor_div('p_t', US_PER_HOUR)}) % 24 + 24) % 24 AS VARCHAR), 2, '0')"
    if expression == "image_size":
        return _name_band("image_size", "greatest(s_width, s_height)")
    if expression == "latency":
        return _name_band("latency", "CASE WHEN isnan(s_latency_ms) THEN NULL ELSE s_latency_ms END")
    if expression.startswith("attributes."):
        return f"s_attributes[{literal(expression.removeprefix('attributes.'))}]"
    return f"s_{expression}"


def _name_band(name: str, value: str) -> str:
    edges = BANDS[name]
    texts = [f"<{edges[0]}", *(f"{a}-{b}" for a, b in zip(edges, edges[1:], strict=False))]
    whens = " ".join(f"WHEN {value} < {e} THEN '{t}'" for e, t in zip(edges, texts, strict=True))
    return f"CASE WHEN {value} IS NULL THEN NULL {whens} ELSE '>={edges[-1]}' END"

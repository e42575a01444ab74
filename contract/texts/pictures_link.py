"""Where the pictures behind a figure are shown: one way to write the address, for reports, pages and notebooks.

    /pictures?model=digits&version=2&predicted=3&label=8        a cell of the confusion matrix
"""

from urllib.parse import urlencode

PAGE = "/pictures"
SUSPECTS_PAGE = f"{PAGE}/suspects"  # labels that are likely wrong
FILTERS = (
    *("version", "from", "to", "predicted", "label", "verdict", "confidence_from", "confidence_to"),
    *("labeler", "origin", "split", "prediction_id"),
)


def link_to_pictures(model: str, filters: dict[str, str], attributes: dict[str, str] | None = None) -> str:
    """Writes the address of the pictures of `model` that pass all filters.

    Args:
        filters: names of FILTERS with their values; `from` and `to` are days (YYYY-MM-DD, both included), `verdict` is
            right, wrong or unlabelled, `confidence_from` (included) and `confidence_to` (excluded; 1 is included) lie in [0, 1].
        attributes: what the caller said of the picture, by name; written as `attribute.<name>`.

    Raises:
        ValueError: a filter that the page does not know.
    """
    if unknown := sorted(set(filters) - set(FILTERS)):
        raise ValueError(f"pictures are filtered by {', '.join(FILTERS)}, not by {', '.join(unknown)}")
    ordered = [(name, filters[name]) for name in FILTERS if name in filters]
    named = [(f"attribute.{name}", value) for name, value in sorted((attributes or {}).items())]
    return f"{PAGE}?{urlencode([('model', model), *ordered, *named])}"


def link_to_suspects(model: str) -> str:
    """Writes the address of the labels of `model` that are likely wrong."""
    return f"{SUSPECTS_PAGE}?{urlencode({'model': model})}"


def link_to_picture(model: str, prediction_id: str | None, image_sha256: str) -> str:
    """Writes the address of one picture: with all that is known of its prediction, or alone where none brought it."""
    return link_to_pictures(model, {"prediction_id": prediction_id}) if prediction_id else f"/images/{image_sha256}"

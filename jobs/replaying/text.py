"""What a replay says on a terminal."""

from collections.abc import Mapping
from typing import Any

from command.terminal import escape
from contract.texts.figures import write_figure, write_points, write_share

SHOWN = 5


def write_text(document: Mapping[str, Any], where: str) -> str:
    """Says how many predictions were computed, how often both agree, what flips most, and who is right."""
    d, left = document, {kind: n for kind, n in document["left_out"].items() if n}
    lines = [f"{d['model']}: version {d['version']} on {d['predictions']:,} live predictions of {d['window']['from']} to "
             f"{d['window']['to']}: {d['replayed']:,} have its answer, {d['now']['computed']:,} of them computed now."]
    lines += [f"  not computed: {n:,} {kind}" for kind, n in left.items()]
    lines += [f"    {row['prediction_id']}: {row['reason']}" for row in d["left_out_first"][:SHOWN]]
    lines += [f"  the rows of {len(d['expired'])} of these days expired: {', '.join(d['expired'])}"] if d["expired"] else []
    if d["replayed"]:
        lines.append(f"  agrees with {write_figure(d['agreement'])} of the live answers")
    lines += [f"    {flip['count']:,} × {flip['live']} → {flip['replay']}" for flip in d["flips"][:SHOWN]]
    lines += [_say_origin(d["version"], origin, of) for origin, of in d["labels"]["by_origin"].items()]
    if d["labels"]["unnamed"]:
        lines.append(f"  {d['labels']['unnamed']:,} called wrong without a class are in no comparison.")
    return "\n".join(escape(line) for line in [*lines, where])


def _say_origin(version: str, origin: str, of: Mapping[str, Any]) -> str:
    return (f"  {of['n']:,} labels of origin {origin}: live {write_share(of['live'])}, version {version} "
            f"{write_share(of['candidate'])}: {write_points(of['difference'])}; McNemar's p {of['mcnemar']['two_sided']:.3g}")

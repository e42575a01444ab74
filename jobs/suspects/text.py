"""What `trueup labels suspects` says, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from command.terminal import align, escape
from contract.review.send_suspects import Sent
from contract.review.strongest import describe_state
from contract.review.suspects import Pair, Said, Suspects, list_open
from contract.texts.figures import write_count, write_number

SHOWN = 50


def make_document(found: Suspects, said: Mapping[Pair, Said], sent: Sent | None) -> dict[str, Any]:
    """What --json prints: the document in the bucket, with what people said of each, and what was sent."""
    listed = [{"rank": n, **one.to_dict(), "why": one.why, "state": describe_state(one, said)}
              for n, one in enumerate(found.suspects, 1)]
    return found.to_dict() | {"suspects": listed, "open": len(list_open(found.suspects, said)),
                              "sent": sent._asdict() if sent else None}


def write_text(found: Suspects, said: Mapping[Pair, Said], sent: Sent | None) -> str:
    """The same for people: who judged, then the likeliest mistakes."""
    lines = [f"dataset {found.dataset} of {escape(found.model)}: {write_count(len(found.suspects), 'suspect')}, "
             f"{write_number(len(list_open(found.suspects, said)))} open; {write_number(found.judged)} of "
             f"{write_count(found.rows, 'label')} judged"]
    for judge in found.judges:
        doubt = "" if judge.used else "; too few, or fewer than others do, so it was not used"
        doubt += "; its training set is unknown, these pictures came later" if judge.unknown_training_set else ""
        lines.append(f"  {judge.name} judged {write_number(judge.rows)}, and names {write_number(judge.agree)} of their labels"
                     f"{doubt}")
    lines += [f"  not judged: {write_number(n)} x {reason}" for reason, n in found.not_judged.items()]
    rows = [(str(n), one.split, one.given, one.likely or one.near_label or "", write_number(one.score, 3),
             one.image_sha256[:12], describe_state(one, said), one.why) for n, one in enumerate(found.suspects[:SHOWN], 1)]
    if rows:
        head = ("rank", "split", "given", "likely", "score", "picture", "state", "why")
        lines += ["", align(head, [[escape(text) for text in row] for row in rows])]
    if len(found.suspects) > SHOWN:
        lines.append(f"  and {write_number(len(found.suspects) - SHOWN)} more (--json lists all)")
    if sent:
        lines += ["", f"sent to people: {write_number(sent.new)}, blind, at /audit?of=listed; {write_number(sent.before)} were "
                      f"before"]
        lines += [f"  not sent: {write_number(n)} x {reason}" for reason, n in sent.left_out.items()]
    return "\n".join(lines)

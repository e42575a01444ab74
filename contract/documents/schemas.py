"""The published JSON schemas of the documents in the bucket: `docs/schemas/<name>.schema.json`.

    python -m contract.documents.schemas docs/schemas      writes them all again
"""

import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from contract import jsonio
from contract.canary.documents import ReplicaCounts
from contract.counts_store import CountsDocument
from contract.deciding.proposals import Answer, Proposal
from contract.documents.card import Card
from contract.documents.compaction import Compaction
from contract.documents.decision import Decision
from contract.documents.erasures import Erasure
from contract.documents.evaluation import Evaluation
from contract.documents.expiry import ExpiredPictures, ExpiredRows
from contract.documents.gold import GoldAnswer
from contract.documents.history import HistoryEntry, Signature
from contract.documents.imported import Imported
from contract.documents.labeler_fit import LabelerFit
from contract.documents.manifest import Manifest
from contract.documents.notified import Notified, NotifyFailure
from contract.documents.rehearsal import Rehearsal
from contract.documents.repeat import BlindRepeat
from contract.measured.document import Measured
from contract.measured.embedded import EmbeddedDay, Space
from contract.rows.items import ItemsDocument
from contract.rows.replay import Replay
from contract.run_owner import RunOwner
from contract.runs import End, Plan
from contract.samples import Sample
from contract.tuning.documents import Search, TrialClaim, Tuning

# name of the file -> its type, and where such documents lie
PUBLISHED: dict[str, tuple[type, str]] = {
    "canary-counts": (ReplicaCounts, "models/<model>/canaries/<salt>/<replica>.json"),
    "card": (Card, "models/<model>/versions/<version>/card.json"),
    "compaction": (Compaction, "<predictions or labels>/dt=<day>/_compacted/<n>.json"),
    "counts": (CountsDocument, "counts/<model>/dt=<day>/<inputs>/<known_through>.json"),
    "decision": (Decision, "evaluations/<model>/<evaluation>/decision.json"),
    "erasure": (Erasure, "erasures/<sha256>.json"),
    "evaluation": (Evaluation, "evaluations/<model>/<evaluation>/evaluation.json"),
    "expired-pictures": (ExpiredPictures, "predictions/dt=<day>/_expired/pictures.json and pictures-done.json"),
    "expired-rows": (ExpiredRows, "predictions/dt=<day>/_expired/rows.json"),
    "fit": (LabelerFit, "fits/<model>/<name>/fit.json"),
    "gold": (GoldAnswer, "samples/<model>/gold/known/<prediction id>/<n>.json"),
    "history": (HistoryEntry, "models/<model>/history/<seq>.json and live.json"),
    "imported": (Imported, "imports/<table>/<sha256>.json"),
    "items": (ItemsDocument, "items/<model>/dt=<day>/<inputs>/<known_through>.json"),
    "manifest": (Manifest, "datasets/<dataset>/manifest.json"),
    "measured": (Measured, "measures/<model>/dt=<day>/<inputs>.json and measures/<model>/dataset=<id>/<inputs>.json"),
    "embedded-day": (EmbeddedDay, "measures/<model>/version=<n>/dt=<day>/<inputs>.json"),
    "embedding-space": (Space, "measures/<model>/version=<n>/<inputs>.json"),
    "notified": (Notified, "runs/<model>/notified/<target>/<key>.json"),
    "notify-failure": (NotifyFailure, "runs/<model>/notified/<target>/last-failure.json"),
    "owner": (RunOwner, "runs/<model>/<n>/owner-<k>.json"),
    "proposal": (Proposal, "models/<model>/proposals/<n>/proposal.json"),
    "proposal-answer": (Answer, "models/<model>/proposals/<n>/answer.json"),
    "repeat": (BlindRepeat, "samples/<model>/repeats/<person>/<prediction id>/<n>.json"),
    "replay": (Replay, "replays/<model>/<replay>/replay.json"),
    "rehearsal": (Rehearsal, "the file of `trueup emr rehearse --report`"),
    "run": (Plan, "runs/<model>/<n>/run.json"),
    "run-end": (End, "runs/<model>/<n>/end.json"),
    "sample": (Sample, "samples/<model>/dt=<day>/<kind>/sample.json"),
    "search": (Search, "models/<model>/tunings/<study>/study.json"),
    "search-claim": (TrialClaim, "models/<model>/tunings/<study>/claims/<trial>-<attempt>.json"),
    "signature": (Signature, "models/<model>/signatures/<seq>-<key>.json"),
    "tuning": (Tuning, "models/<model>/tunings/<study>/tuning.json"),
}


def schema(name: str) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of one kind of document."""
    found = TypeAdapter(PUBLISHED[name][0]).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def write(folder: Path) -> None:
    """Writes all schemas into a folder."""
    for name in PUBLISHED:
        (folder / f"{name}.schema.json").write_bytes(jsonio.dumps(schema(name)))


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/schemas"))

"""How often a candidate may differ from the live version: what the assessment of the run that made it saw."""

from pydantic import ValidationError

from contract import layout
from contract.canary.documents import Expected
from contract.documents.history import Claim
from contract.errors import DamagedDocument, NotFound, UsageError, pass_over
from contract.registry import Registry
from contract.runs import Runs, parse_number


def find_expected(registry: Registry, version: str, live: str) -> Expected | None:
    """Finds it in the run that claimed the version for the place of `live`; None where there is none, or one of an older
    release, which did not count it."""
    try:
        claim = Claim.load(registry.storage, layout.claim(registry.model, version))
        run = Runs(registry.storage, registry.model).get(parse_number(claim.run)) if claim.run else None
        assessment = run.stage("assess") if run and run.plan.live == live else None
        return Expected(**assessment["disagreement"]) if assessment and "disagreement" in assessment else None
    except NotFound:
        return None
    except (DamagedDocument, ValidationError, TypeError) as error:
        pass_over(error if isinstance(error, DamagedDocument) else DamagedDocument(
            f"the assessment of version {version} does not say how often it differs: {error}"))
        return None


def parse_expected(text: str) -> Expected:
    """Reads `150/300`: the two differed on 150 of 300 held-out rows. UsageError for anything else."""
    differ, _, n = text.partition("/")
    if not (differ.isascii() and differ.isdigit() and n.isascii() and n.isdigit() and int(n) > 0 and int(differ) <= int(n)):
        raise UsageError(f"--differs: expected two numbers such as 150/300 (differing rows / held-out rows), got {text!r}.")
    return Expected(n=int(n), differ=int(differ))

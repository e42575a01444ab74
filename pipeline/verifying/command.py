"""Recomputes what was told: every figure of a decision, an evaluation or a version, from the files that it names.

    trueup verify 20261120T080000Z-0a1b2c3d --model digits      a decision with its evaluation, counts and raw files
    trueup verify 3 --model digits                              a version: card, weights, dataset, assessment
    trueup verify 20261120T080000Z-0a1b2c3d --bundle out.zip    packs what somebody else needs to do the same
    trueup verify out.zip                                       does the same from there, without the bucket

Reads the root and writes nothing into it. Exit codes: 0 all is equal, 3 something differs or is missing, 4 something cannot be
told (rows that expired, say), 1 error.
"""

import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.load_settings import with_options
from command.process import end_with
from contract import layout
from contract.documents.verification import Finding, conclude
from contract.errors import CANNOT_TELL, DONE, GATE_SAYS_NO, NotFound, UsageError
from contract.settings import Settings
from contract.storage import open_root
from contract.stores.local import LocalStorage
from contract.stores.recorded import RecordedReads
from contract.stores.store import Storage
from pipeline.running.local import InProcessRunner, ProcessRunner
from pipeline.running.stages import VERIFY
from pipeline.verifying.bundle import Bundle, unpack_bundle, write_bundle
from pipeline.verifying.decision import verify_decision
from pipeline.verifying.history import verify_history
from pipeline.verifying.targets import Target, parse_target
from pipeline.verifying.text import write_text
from pipeline.verifying.version import verify_version

SENTENCES = {DONE: "everything is equal", GATE_SAYS_NO: "something differs or is missing",
             CANNOT_TELL: "something cannot be told"}


@stage_command("verify")
@click.argument("what", nargs=-1, metavar="DECISION|VERSION|BUNDLE")
@click.option("--model", help="The model's name. [env: TRUEUP_MODEL]")
@click.option("--engine", type=click.Choice(["embedded", "mapreduce", "spark"]), help="That counts again. [default: another than "
              "made it]")
@click.option("--bundle", type=click.Path(path_type=Path), help="Pack what was read into this zip, for somebody without it.")
@click.option("--public-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Ed25519, PEM: the history must "
              "be signed by it.")
@click.option("--in-process", is_flag=True, hidden=True)
def command(settings: Settings, what: tuple[str, ...], model: str | None, engine: str | None, bundle: Path | None,
            public_key: Path | None, in_process: bool) -> Outcome:
    """Compute a decision, an evaluation or a version again from the raw files that it names, and say what differs."""
    if not what:
        raise UsageError("expected what to verify: trueup verify DECISION, VERSION or BUNDLE.")
    asked = Check(with_options(settings, model=model), engine, public_key.read_bytes() if public_key else None, in_process)
    if len(what) == 1 and _is_bundle(Path(what[0])):
        if bundle is not None:
            raise UsageError(f"{what[0]} is a bundle already: expected no --bundle.")
        return asked.verify_bundle(Path(what[0]))
    storage = open_root(asked.settings.need_root())
    target = parse_target(what, storage)
    target = replace(target, model=target.model or asked.settings.need_model())
    findings, read = asked.verify(storage, target)
    packed = _pack(bundle, storage, target, read) if bundle is not None else None
    return _report(target, findings, bundle, packed)


def _is_bundle(path: Path) -> bool:
    if path.suffix == ".zip" and not path.is_file():
        raise UsageError(f"{path}: expected a bundle, found no such file.")
    return path.is_file() and (path.suffix == ".zip" or zipfile.is_zipfile(path))


class Check:
    """How things are checked: by which settings, engine and key; `in_process`: the counting, too."""

    def __init__(self, settings: Settings, engine: str | None, public_key: bytes | None, in_process: bool) -> None:
        self.settings, self.engine, self.public_key = settings, engine, public_key
        self.runner = InProcessRunner() if in_process else ProcessRunner()

    def verify(self, root: Storage, target: Target) -> tuple[list[Finding], set[str]]:
        """What was found, and every key that was read. NotFound, NoSuchVersion: there is no such thing."""
        storage, model = RecordedReads(root), target.model or ""
        chain = verify_history(storage, model, self.public_key)
        if target.version is not None:
            findings = verify_version(storage, model, target.version, chain)
            return [*findings, *chain.findings], set(storage.seen) | {f["of"] for f in findings}
        evaluation_id = target.evaluation or ""
        if not root.exists(layout.evaluation_document(model, evaluation_id)):
            there = ", ".join(root.folders(layout.evaluations(model))[-3:]) or "none"
            raise NotFound(f"{root.root}: model {model!r} has no evaluation {evaluation_id}; the newest are: {there}.")
        with tempfile.TemporaryDirectory(prefix="trueup-verify-") as folder:
            counted = self._count(root, target, folder)
            made = LocalStorage(Path(folder))
            instead = {key: made.read(key) for key in counted["made"]}
        findings = counted["findings"]
        decided = verify_decision(storage, self.settings, model, evaluation_id, instead)
        return [*decided, *findings, *chain.findings], set(storage.seen) | set(counted["read"])

    def _count(self, root: Storage, target: Target, folder: str) -> dict[str, Any]:
        values = {"model": target.model or "", "evaluation": target.evaluation or "", "into": folder}
        argv = ["--root", root.root, *VERIFY.fill_arguments(values), *(["--engine", self.engine] if self.engine else [])]
        return self.runner.run(VERIFY, argv, self.settings.dump_for_stages()).document

    def verify_bundle(self, path: Path) -> Outcome:
        """Unpacks a bundle beside nothing of ours, and checks what it is of there."""
        with tempfile.TemporaryDirectory(prefix="trueup-bundle-") as folder:
            bundle, unpacked = unpack_bundle(path, Path(folder))
            target = Target(bundle.model, bundle.evaluation, bundle.version)
            try:
                findings, _ = self.verify(open_root(folder), target)
            except NotFound:
                if conclude(unpacked) == DONE:
                    raise
                findings = []
        return _report(target, [*unpacked, *findings], path, bundle)


def _pack(path: Path, storage: Storage, target: Target, read: set[str]) -> Bundle:
    keys = {key for key in read if key.startswith(layout.FOLDERS) and not key.endswith("/")}
    return write_bundle(path, storage, keys, model=target.model or "", evaluation=target.evaluation, version=target.version)


def _report(target: Target, findings: list[Finding], path: Path | None, bundle: Bundle | None) -> Outcome:
    code = conclude(findings)
    document = {"model": target.model, "evaluation": target.evaluation, "version": target.version, "exit_code": code,
                "sentence": f"{target.name}: {SENTENCES[code]}.", "findings": findings,
                "bundle": {"file": str(path), "objects": len(bundle.files), "root": bundle.root} if bundle else None}
    return Outcome(code, document, write_text(document))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(command, argv, prog_name="trueup verify")


if __name__ == "__main__":
    end_with(main)

"""The policy as IAM takes it: in as many documents as its limit makes necessary, and the commands that hand them on."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MOST_CHARACTERS = 6144  # of a managed policy, white space not counted (IAM and STS quotas)


def count_characters(policy: Mapping[str, Any]) -> int:
    """Counts a policy's characters as IAM does, without white space."""
    return len("".join(json.dumps(policy).split()))


def write_text(policy: Mapping[str, Any]) -> str:
    """Writes a policy for people and for IAM, in the order in which it is read."""
    return json.dumps(policy, indent=1)


def split(policy: Mapping[str, Any], most: int = MOST_CHARACTERS) -> list[dict[str, Any]]:
    """Splits a policy into as few documents as its statements fill in their order, each of at most so many characters."""
    documents: list[dict[str, Any]] = []
    for statement in _cut(policy, most):
        one = {"Version": policy["Version"], "Statement": [statement]}
        last = {**one, "Statement": [*documents[-1]["Statement"], statement]} if documents else None
        if last and count_characters(last) <= most:
            documents[-1] = last
        else:
            documents.append(one)
    return documents


def _cut(policy: Mapping[str, Any], most: int) -> Iterator[dict[str, Any]]:
    """Yields the statements, one that is too long by itself as its halves."""
    for statement in policy["Statement"]:
        half = len(statement["Action"]) >> 1
        if half == 0 or count_characters({"Version": policy["Version"], "Statement": [statement]}) <= most:
            yield statement
            continue
        for n, actions in enumerate((statement["Action"][:half], statement["Action"][half:]), 1):
            part = {**statement, "Sid": f"{statement['Sid']}{n}", "Action": actions}
            yield from _cut({**policy, "Statement": [part]}, most)


def write_documents(policy: Mapping[str, Any], stack: str, folder: Path) -> list[Path]:
    """Writes STACK-deployer-1.json, … into the folder, which is made; files of those names are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for n, document in enumerate(split(policy), 1):
        paths.append(folder / f"{name_policy(stack)}-{n}.json")
        paths[-1].write_text(write_text(document) + "\n")
    return paths


def name_policy(stack: str) -> str:
    """Names the policies of whoever deploys a stack."""
    return f"{stack}-deployer"


def write_commands(paths: list[Path], partition: str) -> str:
    """Writes what an administrator runs: each document becomes a policy, which the deployer's role or group gets."""
    lines = [f"{path}: {count_characters(json.loads(path.read_text()))} of {MOST_CHARACTERS} characters" for path in paths]
    lines += ["An administrator makes policies of them, and attaches them to the role that deploys (ROLE, not named "
              "like the stack's own):"]
    for path in paths:
        lines.append(f"  aws iam create-policy --policy-name {path.stem} --policy-document file://{path}")
    arn = f"arn:{partition}:iam::ACCOUNT:policy"
    lines += [f"  aws iam attach-role-policy --role-name ROLE --policy-arn {arn}/{path.stem}" for path in paths]
    return "\n".join(lines)

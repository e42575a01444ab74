"""The loop on Amazon EMR: what it would cost, its installation in an account, stages on clusters.

    trueup emr plan [--predictions-per-day N]     what would be created and called; hours and dollars
    trueup emr template                           the CloudFormation template
    trueup emr policy [--write FOLDER]            the rights of whoever deploys it
    trueup emr deploy                             the stack, the root and the packages
    trueup emr run --stage evaluate               one stage on a cluster of its own
    trueup emr status                             the stack, and clusters that live
    trueup emr destroy --yes                      ends clusters and removes the stack; the bucket stays
    trueup emr rehearse                           all of it once, small, under another name; nothing stays

Also `python -m emr.cli …`. Whole turns of the loop: `trueup cycle --runner emr`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from command.command import Outcome, run, stage_command
from command.groups import Group
from command.load_settings import with_options
from command.options import MOST
from command.process import end_with
from command.tracking.tracking import write_told
from contract.errors import ERROR, UsageError
from contract.registry import Registry
from contract.settings import Settings
from contract.storage import open_root, open_storage
from contract.stores.store import Storage
from emr.rehearsal.cli import command as rehearse_command

MODEL = click.option("--model", help="The model's name. [env: TRUEUP_MODEL]")
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group("emr", cls=Group)
def group() -> None:
    """The loop on Amazon EMR."""


@stage_command("plan")
@MODEL
@click.option("--predictions-per-day", type=click.IntRange(1, MOST), help="Estimate hours and dollars of this load.")
@click.option("--labels-per-day", type=click.IntRange(0, MOST), default=200, show_default=True)
@click.option("--start-minutes", type=click.FloatRange(0), default=10.0, show_default=True,
              help="What a cluster is paid for beside its work; an assumption.")
@click.option("--picture-kib", type=click.FloatRange(0), default=100.0, show_default=True,
              help="A stored picture; an assumption.")
@click.option("--row-bytes", type=click.FloatRange(0), default=300.0, show_default=True,
              help="A prediction or a label in Parquet; an assumption.")
@click.option("--recorded", type=FILE, help="Rates. [default: benchmarks/recorded.json, by `make bench`]")
@click.option("--prices", type=FILE, help="A price table. [default: emr/prices.json, examples to be checked]")
def plan_command(settings: Settings, model: str | None, predictions_per_day: int | None, labels_per_day: int,
                 start_minutes: float, picture_kib: float, row_bytes: float, recorded: Path | None,
                 prices: Path | None) -> Outcome:
    """Print what would be created and called, and what it would cost. Changes nothing."""
    from emr import estimate, plan
    from emr.costs.recount import describe_recount

    settings = with_options(settings, model=model)
    storage = _require_s3(open_storage(settings.need_root()))
    document = plan.plan(storage, settings, settings.need_model())
    document["recount"] = describe_recount(storage, settings, settings.need_model(),
                                           estimate.read_prices(prices or estimate.PRICES), recorded or estimate.RECORDED)
    if predictions_per_day:
        load = estimate.Load(predictions_per_day, labels_per_day, start_minutes, picture_kib, row_bytes)
        document["estimate"] = estimate.estimate(settings, load, estimate.read_recorded(recorded or estimate.RECORDED),
                                                 estimate.read_prices(prices or estimate.PRICES))
    return Outcome(document=document, text=plan.write_text(document))


@stage_command("template")
@click.option("--key-policy", is_flag=True, help="The statements that the policy of emr.kms_key must have, instead.")
def template_command(settings: Settings, key_policy: bool) -> Outcome:
    """Print the CloudFormation template of this root and these settings."""
    from emr.security.key_policy import make_policy
    from emr.template.whole import make_template, write_body

    if key_policy:
        if settings.emr.kms_key is None:
            raise UsageError("--key-policy: expected emr.kms_key, the ARN of a key; got none.")
        statements = {"Statement": make_policy(settings.emr)}
        return Outcome(document=statements, text=write_body(statements, indent=1))
    document = make_template(_require_s3(open_storage(settings.need_root())).root, settings)
    return Outcome(document=document, text=write_body(document, indent=1))


@stage_command("policy")
@click.option("--write", "folder", type=click.Path(path_type=Path, file_okay=False),
              help="Write it into this folder, in as many documents as IAM's limit makes necessary.")
@click.option("--rehearsal", is_flag=True, help="That of `trueup emr rehearse` in its place.")
def policy_command(settings: Settings, folder: Path | None, rehearsal: bool) -> Outcome:
    """Print the IAM policy of whoever deploys with these settings, for an administrator to attach. Calls nothing."""
    from contract.stores.aws_region import find_partition, find_region
    from emr.follow import print_line
    from emr.policy import documents
    from emr.policy.deployer import make_policy
    from emr.policy.rehearsal import make_rehearsal_policy
    from emr.rehearsal.small import name_stack

    region = find_region()
    partition = find_partition(region) if region else "aws"
    policy = (make_rehearsal_policy(settings, partition) if rehearsal else
              make_policy(_require_s3(open_storage(settings.need_root())).root, settings, partition))
    if folder is not None:
        paths = documents.write_documents(policy, name_stack(settings) if rehearsal else settings.emr.stack, folder)
        return Outcome(document={"documents": [str(path) for path in paths]}, text=documents.write_commands(paths, partition))
    if (parts := len(documents.split(policy))) > 1:
        print_line(f"{documents.count_characters(policy)} characters: IAM takes {documents.MOST_CHARACTERS} in one managed "
                   f"policy. --write FOLDER writes this one as {parts}.")
    return Outcome(document=policy, text=documents.write_text(policy))


@stage_command("deploy")
@click.option("--no-packages", is_flag=True, help="The stack and the root only.")
def deploy_command(settings: Settings, no_packages: bool) -> Outcome:
    """Create or update the stack, mark the root, build and upload the packages that are not there."""
    from emr import stack
    from emr.follow import print_line
    from emr.job import find_regions
    from emr.needs import ENVIRONMENTS
    from emr.package import publish_package, require_buildable
    from emr.security.key import require_region

    storage, environments = _require_s3(open_storage(settings.need_root())), () if no_packages else ENVIRONMENTS
    stack.write_template(storage.root, settings)  # what cannot be sent is said before anybody is asked
    require_region(settings.emr.kms_key, find_regions(storage).bucket)
    for environment in environments:
        require_buildable(storage, environment)
    state = stack.deploy(storage.root, settings, print_line)
    open_root(storage.root, create=True)
    packages = {e: publish_package(storage, e, say=print_line).archive for e in environments}
    document = {"stack": settings.emr.stack, "state": state, "root": storage.root, "packages": packages}
    lines = [f"stack {settings.emr.stack}: {state}", *(f"{e}: {archive}" for e, archive in packages.items())]
    return Outcome(document=document, text="\n".join(lines))


@stage_command("run", context_settings={"ignore_unknown_options": True})
@click.option("--stage", required=True, help="evaluate, dataset, train, assess, score, replay or tune.")
@MODEL
@click.option("--run", "key", help="Names this run: another name asks again, the same one finds the answer. [default: none]")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run_command(settings: Settings, stage: str, model: str | None, key: str | None, arguments: tuple[str, ...]) -> Outcome:
    """Run one stage on a cluster of its own, or on EMR Serverless; ARGUMENTS are the stage's own options.

    The same command again finds the same cluster or application, or the answer that it gave.
    """
    from emr import dispatch
    from emr.follow import print_line
    from emr.job import make_request
    from emr.package import publish_package
    from emr.tracking import tell_of_stage

    settings = with_options(settings, model=model)
    name, storage = settings.need_model(), _require_s3(open_root(settings.need_root()))
    saved = settings.dump_for_stages()
    request = make_request(stage, ["--model", name, *arguments], saved, key)
    reply = dispatch.run_stage(storage, name, request, lambda environment: publish_package(storage, environment, say=print_line))
    document = reply.document or {"error": {"code": "Crashed", "message": reply.said}}
    error, told = document.get("error"), tell_of_stage(settings.track, Registry(storage, name), stage, document)
    return Outcome(reply.code or (ERROR if error else 0), document | ({"tracking": told} if told else {}),
                   error["message"] if error else f"{stage}: done{write_told(told)}{_write_found(stage, document)}")


def _write_found(stage: str, document: dict[str, Any]) -> str:
    """Writes what a search has found, for which nobody should have to look into its document."""
    if stage != "tune":
        return ""
    return f"\n{document.get('command') or 'no trial was completed'}\npage: {document.get('page')}"


@stage_command("status")
def status_command(settings: Settings) -> Outcome:
    """Show the stack, the clusters that live, and with emr.compute serverless its applications."""
    from emr import stack
    from emr.account import Account

    applications = [{"id": a["id"], "name": a["name"], "state": a["state"]} for a in _list_applications(settings)]
    document: dict[str, Any] = {"stack": settings.emr.stack, "state": stack.read_state(settings.emr.stack),
                                "clusters": [_describe_cluster(c) for c in Account().list_clusters() if _is_ours(c)],
                                "applications": applications}
    lines = [f"  {c['id']}  {c['state']:<13} {c['name']}" for c in [*document["clusters"], *applications]]
    return Outcome(document=document, text="\n".join([f"stack {document['stack']}: {document['state']}",
                                                      *(lines or ["  no cluster lives"])]))


@stage_command("destroy")
@click.option("--yes", is_flag=True, help="Do it.")
def destroy_command(settings: Settings, yes: bool) -> Outcome:
    """End all clusters of the stack and remove it. The bucket and what is in it stay."""
    from emr import stack
    from emr.account import Account
    from emr.follow import print_line
    from emr.made_network import clear_groups
    from emr.serverless.account import ServerlessAccount

    if not yes:
        raise UsageError(f"expected --yes: this ends the clusters of stack {settings.emr.stack!r} and removes its roles, "
                         f"schedule and alarms. The bucket and its data stay.")
    account = Account()
    clusters = [c["Id"] for c in account.list_clusters() if _is_ours(c) and account.read_tag(c["Id"]) == settings.emr.stack]
    for cluster in clusters:
        account.stop(cluster)
    applications = [a["id"] for a in _list_applications(settings)]
    for application in applications:
        ServerlessAccount().end(application)
    clear_groups(settings.emr.stack, print_line)
    state = stack.remove(settings.emr.stack, print_line)
    ended = [*clusters, *applications]
    return Outcome(document={"stack": settings.emr.stack, "state": state, "ended": ended},
                   text=f"stack {settings.emr.stack}: {state}; {len(ended)} clusters and applications ended; the bucket stays")


def _list_applications(settings: Settings) -> list[dict[str, Any]]:
    from emr.needs import SERVERLESS
    from emr.serverless.account import ServerlessAccount

    return ServerlessAccount().list_of_stack(settings.emr.stack) if settings.emr.compute == SERVERLESS else []


def _is_ours(cluster: dict[str, Any]) -> bool:
    return cluster["Name"].startswith("trueup ")


def _describe_cluster(cluster: dict[str, Any]) -> dict[str, str]:
    return {"id": cluster["Id"], "name": cluster["Name"], "state": cluster["Status"]["State"]}


def _require_s3(storage: Storage) -> Storage:
    if not storage.root.startswith("s3://"):
        raise UsageError(f"root {storage.root}: expected one that clusters can reach, s3://bucket/prefix.")
    return storage


for _command in (plan_command, template_command, policy_command, deploy_command, run_command, status_command, destroy_command,
                 rehearse_command):
    group.add_command(_command)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    return run(group, argv, prog_name="trueup emr")


if __name__ == "__main__":
    end_with(main)

"""Whether the images that settings name are in ECR, for linux/amd64: one built on a Mac with Apple Silicon is not."""

import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any

from emr.account import AccountError, Caller
from emr.checks.finding import ABSENT, BAD, OK, UNASKED, Finding

IN_ECR = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([^:@]+)(?::([^@]+))?(?:@(.+))?")
MEDIA = ("application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json",
         "application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json")
WANTED = "linux/amd64"
NOT_THERE = ("RepositoryNotFoundException", "ImageNotFoundException")


def check_image(ecr: Caller, check: str, image: str | None) -> Iterator[Finding]:
    """Yields one finding for the image that a setting names."""
    if image is None:
        yield Finding(check, ABSENT, f"emr.{check.replace(' ', '_')} is not set")
        return
    found = IN_ECR.fullmatch(image)
    if found is None or found[2] != ecr.client.meta.region_name:
        yield Finding(check, UNASKED, f"{image} is not in ECR of this region: not looked at")
        return
    platforms = _list_platforms(ecr, registry=found[1], repository=found[3], tag=found[4], digest=found[5])
    if platforms is None:
        yield Finding(check, BAD, f"{image} is not there", "build and push it (docs/deploy.md)")
    elif WANTED in platforms:
        yield Finding(check, OK, f"{image}, {', '.join(platforms)}")
    else:
        yield Finding(check, BAD, f"{image} is for {', '.join(platforms) or 'no platform'}",
                      f"docker build --platform {WANTED} …, and push it again")


def _list_platforms(ecr: Caller, registry: str, repository: str, tag: str | None, digest: str | None) -> list[str] | None:
    """Lists the platforms of an image, as os/architecture; None when there is no such image."""
    wanted = {"imageDigest": digest} if digest else {"imageTag": tag or "latest"}
    try:
        answer = ecr.call("batch_get_image", registryId=registry, repositoryName=repository, imageIds=[wanted],
                          acceptedMediaTypes=list(MEDIA))
    except AccountError as error:
        if error.code in NOT_THERE:
            return None
        raise
    if not answer.get("images"):
        return None
    manifest = json.loads(answer["images"][0]["imageManifest"])
    if "manifests" in manifest:
        named = [_name_platform(m.get("platform", {})) for m in manifest["manifests"]]
        return [name for name in named if "unknown" not in name]  # attestations of a build have no platform
    layer = ecr.call("get_download_url_for_layer", registryId=registry, repositoryName=repository,
                     layerDigest=manifest["config"]["digest"])
    return [_name_platform(json.loads(download(layer["downloadUrl"])))]


def _name_platform(platform: dict[str, Any]) -> str:
    return f"{platform.get('os', 'unknown')}/{platform.get('architecture', 'unknown')}"


def download(url: str) -> bytes:
    """Fetches an image's configuration from the address that ECR signed."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return bytes(answer.read())
    except OSError as error:
        raise AccountError(f"ECR: the image's configuration could not be fetched: {error}") from error

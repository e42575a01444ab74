"""What an account has beside a stack, stateful at the client boundary: quotas, images, releases; moto has the rest."""

import json
from types import SimpleNamespace

from botocore.exceptions import ClientError

from tests.fakes.aws_client import FakeClient


def refuse(code, operation="Asked"):
    return ClientError({"Error": {"Code": code, "Message": f"{code} it is"}}, operation)


class FakeQuotas(FakeClient):
    """Service Quotas: the values that an account changed, before the service's defaults."""

    service = "service-quotas"

    def __init__(self, defaults, **named):
        super().__init__(**named)
        self.defaults, self.changed = defaults, {}  # (service, code, name) -> vCPUs

    def _find(self, table, service, code):
        for (of, its, name), value in table.items():
            if (of, its) == (service, code):
                return {"Quota": {"QuotaCode": its, "QuotaName": name, "Value": value}}
        raise refuse("NoSuchResourceException")

    def _list(self, table, service):
        return [{"QuotaCode": code, "QuotaName": name, "Value": value}
                for (of, code, name), value in table.items() if of == service]

    def _get_service_quota(self, ServiceCode, QuotaCode):
        return self._find(self.changed, ServiceCode, QuotaCode)

    def _get_aws_default_service_quota(self, ServiceCode, QuotaCode):
        return self._find(self.defaults, ServiceCode, QuotaCode)

    def _list_service_quotas(self, ServiceCode, NextToken=None):
        return {"Quotas": self._list(self.changed, ServiceCode)}

    def _list_aws_default_service_quotas(self, ServiceCode, NextToken=None):
        found = self._list(self.defaults, ServiceCode)
        return {"Quotas": found[1:]} if NextToken else {"Quotas": found[:1], "NextToken": "more"}


class FakeEcr(FakeClient):
    """ECR: manifests by repository and tag, and configurations by digest, which its signed addresses give."""

    service = "ecr"

    def __init__(self, region, **named):
        super().__init__(**named)
        self.images, self.configurations = {}, {}
        self.meta = SimpleNamespace(region_name=region)

    def push(self, repository, tag, *platforms):
        """One platform: a manifest with its configuration; several: an index, with an attestation as buildx adds."""
        parts = [dict(zip(("os", "architecture"), p.split("/"), strict=True)) for p in platforms]
        if len(parts) == 1:
            digest = f"sha256:{len(self.configurations):064x}"
            self.configurations[f"https://ecr/{digest}"] = json.dumps(parts[0]).encode()
            manifest = {"config": {"digest": digest}}
        else:
            manifest = {"manifests": [{"platform": p} for p in [*parts, {"os": "unknown", "architecture": "unknown"}]]}
        self.images.setdefault(repository, {})[tag] = json.dumps(manifest)

    def download(self, url):
        return self.configurations[url]

    def _batch_get_image(self, registryId, repositoryName, imageIds, acceptedMediaTypes):
        if repositoryName not in self.images:
            raise refuse("RepositoryNotFoundException")
        found = self.images[repositoryName].get(imageIds[0]["imageTag"])
        return {"images": [{"imageManifest": found}] if found else [],
                "failures": [] if found else [{"failureCode": "ImageNotFound"}]}

    def _get_download_url_for_layer(self, registryId, repositoryName, layerDigest):
        return {"downloadUrl": f"https://ecr/{layerDigest}"}


class FakeReleases(FakeClient):
    """EMR's releases, with their applications."""

    service = "emr"
    RELEASES = {"emr-7.12.0": {"Spark": "3.5.6-amzn-1", "Hadoop": "3.4.1-amzn-4"}, "emr-7.99.0": {"Spark": "4.0.1"}}  # noqa: RUF012

    def _describe_release_label(self, ReleaseLabel):
        if ReleaseLabel not in self.RELEASES:
            raise refuse("InvalidRequestException", "DescribeReleaseLabel")
        return {"ReleaseLabel": ReleaseLabel,
                "Applications": [{"Name": n, "Version": v} for n, v in self.RELEASES[ReleaseLabel].items()]}

"""Amazon ECR's image API (Amazon ECR API Reference).

BatchGetImage, GetDownloadUrlForLayer and DescribePullThroughCacheRules.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tests.stand.aws import AwsError
from tests.stand.hosts import bucket

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stand.aws import Identity
    from tests.stand.registry import Answer, Key, Registry


class Manifests:
    """The handler of these operations, for the images of *registry*."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.failure_code = ""
        """Failure code that BatchGetImage returns for every image, if set."""
        self.caches: dict[str, list[str]] = {}
        """Account whose pull-through cache rules every identity may read -> their repository prefixes."""

    @property
    def operations(self) -> dict[str, Callable[[Any, Identity, str], Any]]:
        """The handlers by the name of their operation, for :attr:`tests.stand.aws.Aws.operations`."""
        return {
            "BatchGetImage": self.batch_get_image,
            "GetDownloadUrlForLayer": self.get_download_url_for_layer,
            "DescribePullThroughCacheRules": self.describe_pull_through_cache_rules,
        }

    def batch_get_image(self, parameters: Any, caller: Identity, region: str) -> Any:
        """Return the existing images in the media types that the caller accepts."""
        key = self._find(parameters, caller, region, "ecr:BatchGetImage")
        images, failures = [], []
        for image in parameters["imageIds"]:
            reference = image.get("imageDigest") or image["imageTag"]
            answer = self._get(key, "manifests", reference, ", ".join(parameters["acceptedMediaTypes"]))
            code = self.failure_code or (None if answer.status == HTTPStatus.OK else "ImageNotFound")
            if code:
                reason = "Requested image not found" if code == "ImageNotFound" else code
                failures.append({"imageId": image, "failureCode": code, "failureReason": reason})
            else:
                headers = dict(answer.headers)
                found = {"imageDigest": headers["docker-content-digest"], **image}
                names = {"registryId": key[0], "repositoryName": key[2], "imageId": found}
                kind = {"imageManifestMediaType": headers["content-type"]}
                images.append({**names, **kind, "imageManifest": answer.body.decode()})
        return {"images": images, "failures": failures}

    def get_download_url_for_layer(self, parameters: Any, caller: Identity, region: str) -> Any:
        """Return the URL of a layer on S3."""
        account, _, repository = key = self._find(parameters, caller, region, "ecr:GetDownloadUrlForLayer")
        digest = parameters["layerDigest"]
        if self._get(key, "blobs", digest).status != HTTPStatus.OK:
            message = (
                f"The layer with digest '{digest}' does not exist in the repository with name '{repository}' "
                f"in the registry with id '{account}'"
            )
            raise AwsError(400, "LayersNotFoundException", message)
        return {"downloadUrl": f"https://{bucket(region)}/{digest}", "layerDigest": digest}

    def describe_pull_through_cache_rules(self, parameters: Any, caller: Identity, region: str) -> Any:
        """Return the rules of a registry, one at a time."""
        account = parameters.get("registryId", caller.account)
        if account not in self.caches:
            action = "ecr:DescribePullThroughCacheRules"
            message = (
                f"User: {caller.arn} is not authorized to perform: {action} on resource: "
                f"arn:aws:ecr:{region}:{account}:* because no identity-based policy allows the {action} action"
            )
            raise AwsError(400, "AccessDeniedException", message)
        start = int(parameters.get("nextToken", 0))
        rules = [
            {"ecrRepositoryPrefix": prefix, "upstreamRegistryUrl": "public.ecr.aws", "registryId": account}
            for prefix in self.caches[account][start : start + 1]
        ]
        more = {"nextToken": str(start + 1)} if start + 1 < len(self.caches[account]) else {}
        return {"pullThroughCacheRules": rules, **more}

    def _find(self, parameters: Any, caller: Identity, region: str, action: str) -> Key:
        key = (parameters.get("registryId", caller.account), region, parameters["repositoryName"])
        if key not in self._registry.policies:
            message = f"The repository with name '{key[2]}' does not exist in the registry with id '{key[0]}'"
            raise AwsError(400, "RepositoryNotFoundException", message)
        if refusal := self._registry.refusal(caller, key, action):
            raise AwsError(400, "AccessDeniedException", refusal)
        return key

    def _get(self, key: Key, kind: str, reference: str, accept: str = "*/*") -> Answer:
        path = "/".join(("/v2", *key, kind, reference))
        return self._registry.backend("GET", path, headers={"Accept": accept})

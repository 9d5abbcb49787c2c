"""Amazon ECR's BatchGetImage, which tells the manifests of the registries' images (Amazon ECR API Reference)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.stand.aws import AwsError

if TYPE_CHECKING:
    from tests.stand.aws import Identity
    from tests.stand.registry import Registry


class Manifests:
    """What answers the operation from the images of *registry*."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __call__(self, parameters: Any, caller: Identity, region: str) -> Any:
        """Return the images that are there, in the media types that the caller accepts."""
        account, repository = parameters.get("registryId", caller.account), parameters["repositoryName"]
        admitted = self._registry.policies.get((account, region, repository))
        if admitted is None:
            message = f"The repository with name '{repository}' does not exist in the registry with id '{account}'"
            raise AwsError(400, "RepositoryNotFoundException", message)
        if caller.account not in {account, *admitted}:
            message = (
                f"User: {caller.arn} is not authorized to perform: ecr:BatchGetImage on resource: "
                f"arn:aws:ecr:{region}:{account}:repository/{repository} "
                "because no resource-based policy allows the ecr:BatchGetImage action"
            )
            raise AwsError(400, "AccessDeniedException", message)
        images, failures = [], []
        for image in parameters["imageIds"]:
            path = f"/v2/{account}/{region}/{repository}/manifests/{image['imageDigest']}"
            answer = self._registry.backend(
                "GET", path, headers={"Accept": ", ".join(parameters["acceptedMediaTypes"])}
            )
            if answer.status == 200:
                images.append({"imageId": image, "imageManifest": answer.body.decode()})
            else:
                failures.append({"imageId": image, "failureCode": "ImageNotFound"})
        return {"images": images, "failures": failures}

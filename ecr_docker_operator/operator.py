"""DockerOperator whose images come from Amazon ECR."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.docker.operators.docker import DockerOperator
from docker.errors import NotFound, TLSParameterError

from ecr_docker_operator.aws.identity import AwsIdentity
from ecr_docker_operator.ecr import reference
from ecr_docker_operator.engine.retention import remove_old_images, validate_retention
from ecr_docker_operator.errors import EcrInputError
from ecr_docker_operator.hook import EcrDockerHook
from ecr_docker_operator.link import EcrImageLink

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import Context

    from ecr_docker_operator.ecr.registry import EcrRegistry
    from ecr_docker_operator.engine.client import EcrClient


class EcrDockerOperator(DockerOperator):
    """
    Execute a command inside a Docker container whose image is in Amazon ECR.

    A drop-in for DockerOperator. When the engine has to pull the image, AWS is asked for an authorization
    token in the region of the image's registry. It is used for that one pull and kept nowhere. Images
    of other registries are DockerOperator's.

    :param image: image to run. (templated) With ``registry_id`` it may omit the registry's host.
    :param aws_conn_id: AWS connection whose identity asks for the token. ``None``: boto3's own credential
        chain on the worker. Default: ``aws_default``, which is that chain where no such connection exists.
        (templated)
    :param region_name: region of the registry. Default: the one in the image's host. (templated)
    :param registry_id: AWS account that owns the registry, 12 digits. Default: the one in the image's host.
        An image that names no host is then pulled from that account's registry in ``region_name`` (default:
        the region of the AWS connection, else boto3's). Together with ``region_name``,
        it also names the registry behind a host that is not one of Amazon ECR's, such as an alias. (templated)
    :param verify: whether, or with which file of certificates, to verify the TLS certificate of AWS.
        Default: ``None``, as the AWS connection says, else boto3's. (templated)
    :param botocore_config: configuration of the botocore client that asks for the token; see
        ``botocore.config.Config``. Default: 5 seconds to connect, 15 to answer, 8 attempts in all.
    :param image_retention: how long images of this repository in Amazon ECR stay on the engine. After a task that
        succeeded, images that were pulled longer ago are removed, except for its own and those of containers, running
        or not. Images that others pulled count from when this operator first sees them. Default: ``None``: they stay.

    All other parameters are DockerOperator's.

    :raises EcrInputError: for invalid parameters: when the DAG is parsed or, for templates, when the task runs,
        before anything is contacted.
    :raises EcrEngineError: when the task runs, if no engine can be connected to.
    :raises EcrTokenError: when the task runs, if AWS gives no token.
    :raises EcrPullError: when the task runs, if the engine cannot pull the image.
    :raises EcrUpstreamError: when the task runs, if docker-py has no place for logins.
    """

    template_fields: Sequence[str] = (
        *DockerOperator.template_fields,
        "aws_conn_id",
        "region_name",
        "registry_id",
        "verify",
    )
    template_fields_renderers = {  # noqa: RUF012 - as DockerOperator has it
        **DockerOperator.template_fields_renderers,
        "command": "bash",
        "environment": "json",
        "mounts": "json",
    }
    operator_extra_links = (EcrImageLink(),)

    def __init__(
        self,
        *,
        image: str,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        registry_id: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        image_retention: timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(image=image, **kwargs)
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.registry_id = registry_id
        self.verify = verify
        self.botocore_config = botocore_config
        self.image_retention = image_retention
        self._validate_retention()
        reference.validate(_literal(image), _literal(_text(registry_id)), _literal(region_name))
        # Outside of a DAG, DockerOperator accepts an empty name: the provider's own tests use one.
        if self.has_dag():  # type: ignore[no-untyped-call]
            reference.validate_name(_literal(image))

    def _validate_retention(self) -> None:
        validate_retention(self.image_retention)

    def resolve_image(self) -> tuple[str, EcrRegistry | None]:
        """Return the image's full name, and its registry; ``None`` for an image that is not on Amazon ECR.

        Decided by what the operator's parameters are now, so templates have to be rendered.

        :raises EcrInputError: if the parameters contradict each other, or do not say which registry it is.
        """
        if self.has_dag():  # type: ignore[no-untyped-call]
            reference.validate_name(self.image)
        identity = self._identity()
        return reference.resolve(self.image, _text(self.registry_id), self.region_name, identity.default_region)

    def _identity(self) -> AwsIdentity:
        return AwsIdentity(self.aws_conn_id, _flag(self.verify), self.botocore_config)

    @cached_property
    def hook(self) -> EcrDockerHook:
        """Hook whose client pulls from Amazon ECR (cached)."""
        self.image, registry = self.resolve_image()
        try:
            hook = super().hook
        except TLSParameterError as error:
            raise EcrInputError.tls_files(error.args[0]) from error
        return EcrDockerHook.from_docker_hook(
            hook,
            identity=self._identity(),
            registry=registry,
            engine_urls=self.docker_url,
            for_operator=True,
            records_pull_times=self.image_retention is not None,
        )

    @property
    def cli(self) -> EcrClient:
        """Client of the engine; ``image`` has its full name from here on."""
        client = self.hook.api_client
        # Not only when the hook is made: a subclass may have changed the image since.
        self.image, _ = self.resolve_image()
        return client

    def pre_execute(self, context: Context) -> None:
        """Give the image its full name, before DockerOperator logs it, and store the link to it."""
        super().pre_execute(context)
        # Not by the hook, which is made of what the task has when it executes.
        with suppress(Exception):  # execute raises it; here it would be folded up in the log
            self.image, _ = self.resolve_image()
        EcrImageLink().store(self, context)

    def post_execute(self, context: Context, result: Any = None) -> None:
        """Remove old images from the engine, if ``image_retention`` is set; an error there does not fail the task."""
        super().post_execute(context, result)
        if self.image_retention and self.hook.registry:
            remove_old_images(self.cli, self.image, self.image_retention)

    def on_kill(self) -> None:
        """Stop the container, and keep a pull that ends later from starting one."""
        # Airflow 3 gives a task a few more seconds, in which its pull may end.
        self.hook.start_nothing()
        try:
            super().on_kill()
        except NotFound as error:
            # With auto_remove="force", a task whose time is over has removed it already.
            self.log.info("The container does not need to be stopped: %s", error.explanation)


def _text(value: Any) -> Any:
    # Rendered to a native object, an account is a number; one with a leading zero stays a string.
    return str(value) if isinstance(value, int) else value


def _flag(value: bool | str | None) -> bool | str | None:
    # A template renders to a string.
    return {"true": True, "false": False, "none": None}.get(value.lower(), value) if isinstance(value, str) else value


def _literal(value: Any) -> str | None:
    """Return *value* if it is known before rendering, else ``None``."""
    if isinstance(value, str) and not any(mark in value for mark in ("{{", "{%", "{#")):
        return value
    return None

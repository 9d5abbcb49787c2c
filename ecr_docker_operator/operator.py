"""DockerOperator for images in Amazon ECR."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.docker.operators.docker import DockerOperator
from docker.errors import NotFound, TLSParameterError

from ecr_docker_operator.aws.identity import AwsIdentity
from ecr_docker_operator.ecr import reference
from ecr_docker_operator.engine.connection import EngineUrls
from ecr_docker_operator.engine.retention import remove_old_images, validate_retention
from ecr_docker_operator.errors import EcrInputError
from ecr_docker_operator.hook import EcrDockerHook
from ecr_docker_operator.link import EcrImageLink

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.sdk import Context

    from ecr_docker_operator.ecr.registry import EcrRegistry
    from ecr_docker_operator.engine.client import EcrClient


MERGED = ("template_fields", "template_ext", "template_fields_renderers", "operator_extra_links")
"""Attributes that Airflow reads from an operator's class."""
_CHECKED = ("image", "aws_conn_id", "region_name", "registry_id", "registry_host", "verify")
"""Parameters that must not render to nothing."""


class EcrDockerOperator(DockerOperator):
    """
    Execute a command inside a Docker container with an image from Amazon ECR.

    A drop-in replacement for DockerOperator. When the engine has to pull the image, the task requests an authorization
    token in the region of the image's registry. The token is used for one pull and stored nowhere. Images in other
    registries are handled by DockerOperator.

    :param image: image to run. With ``registry_id``, it may omit the registry's host. (templated)
    :param aws_conn_id: AWS connection that requests the token. ``None``: boto3's default credential chain on the
        worker. Default: ``aws_default``, or that chain if the connection does not exist. (templated)
    :param region_name: region of the registry. Default: the one in the image's host. (templated)
    :param registry_id: AWS account that owns the registry, 12 digits. Default: the one in the image's host.
        If the image has no host, it is pulled from this account's registry in ``region_name`` (default: the region of
        the AWS connection, else boto3's). (templated)
    :param registry_host: host, with its port if it has one, that is not one of Amazon ECR's and stands for the registry
        of ``registry_id`` in ``region_name``, both of which it needs: an alias or a proxy, such as ``localhost:5000``.
        Default: ``None``, no such host. (templated)
    :param verify: whether to verify the TLS certificate of AWS, or the path of a CA bundle to verify it with.
        Default: ``None``, the setting of the AWS connection, else boto3's. (templated)
    :param botocore_config: configuration of the botocore client that requests the token; see
        ``botocore.config.Config``. Default: time-outs of 5 seconds to connect and 15 to read, 8 attempts in total.
    :param image_retention: how long images of this repository in Amazon ECR stay on the engine. After a successful
        task, images that were pulled longer ago are removed, except for the task's own and those of containers,
        running or stopped. For images pulled by others, the time starts when this operator first sees them.
        Default: ``None``, images are not removed.

    All other parameters are those of DockerOperator.

    :raises EcrInputError: for invalid parameters: when the DAG is parsed or, for templates, when the task runs,
        before anything is contacted.
    :raises EcrEngineError: when the task runs, if it cannot connect to an engine.
    :raises EcrTokenError: when the task runs, if AWS returns no token.
    :raises EcrPullError: when the task runs, if the engine cannot pull the image.
    :raises EcrUpstreamError: when the task runs, if the installed docker-py is not supported.
    """

    template_fields: Sequence[str] = (
        *DockerOperator.template_fields,
        "aws_conn_id",
        "region_name",
        "registry_id",
        "registry_host",
        "verify",
    )
    template_fields_renderers = {  # noqa: RUF012 - same as in DockerOperator
        **DockerOperator.template_fields_renderers,
        "command": "bash",
        "environment": "json",
        "mounts": "json",
    }
    operator_extra_links = (EcrImageLink(),)
    made_of: type[DockerOperator] | None = None
    """Class that :mod:`ecr_docker_operator.policy` made this one of; ``None`` if it is one that somebody wrote."""
    _templates: frozenset[str] = frozenset()
    """Names of the parameters that are given as templates."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Merge what Airflow reads from the class, if it has several parents and does not set it itself."""
        super().__init_subclass__(**kwargs)
        for name in MERGED:
            if len(cls.__bases__) > 1 and name not in vars(cls):
                setattr(cls, name, _merged([getattr(base, name) for base in cls.__bases__ if hasattr(base, name)]))

    def __init__(
        self,
        *,
        image: str,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        registry_id: str | None = None,
        registry_host: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        image_retention: timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(image=image, **kwargs)
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.registry_id = registry_id
        self.registry_host = registry_host
        self.verify = verify
        self.botocore_config = botocore_config
        self.image_retention = image_retention
        self._validate_retention()
        self._templates = templates_in({name: getattr(self, name) for name in _CHECKED})
        if isinstance(image, str) and not image.strip() and not self._may_be_empty(image):
            raise EcrInputError.image(image)
        reference.require_registry_of_alias(registry_host, registry_id, region_name)
        reference.validate(
            reference.literal(image),
            reference.literal(_text(registry_id)),
            reference.literal(region_name),
            reference.literal(registry_host),
        )

    def _validate_retention(self) -> None:
        validate_retention(self.image_retention)

    def resolve_image(self) -> tuple[str, EcrRegistry | None]:
        """Return the image's full name and its registry; ``None`` if the image is not in Amazon ECR.

        Uses the current values of the operator's parameters, so templates must be rendered.

        :raises EcrInputError: if the parameters contradict each other, or do not identify a registry.
        """
        if self._may_be_empty(self.image):
            return self.image, None
        for name in self._templates:
            value = getattr(self, name)
            # Jinja renders None to its name.
            if value is None or (isinstance(value, str) and value.strip() in ("", "None")):
                raise EcrInputError.rendered_to_nothing(name, value)
        identity = self.resolve_identity()
        return reference.resolve(
            self.image, _text(self.registry_id), self.region_name, self.registry_host, identity.default_region
        )

    def _may_be_empty(self, image: Any) -> bool:
        # Outside a DAG, DockerOperator accepts an empty name, which the provider's own tests use.
        return image == "" and not self.has_dag()  # type: ignore[no-untyped-call]

    def resolve_identity(self) -> AwsIdentity:
        """Return the AWS identity that requests tokens; templates must be rendered.

        :raises EcrInputError: if a parameter has another type.
        """
        return AwsIdentity(self.aws_conn_id, _flag(self.verify), self.botocore_config)

    @cached_property
    def hook(self) -> EcrDockerHook:
        """Hook with a client that pulls from Amazon ECR (cached)."""
        self.image, registry = self.resolve_image()
        docker_url = self.docker_url
        engine_urls = EngineUrls.of(docker_url)
        try:
            if not isinstance(docker_url, str):
                self.docker_url = engine_urls
            hook = super().hook
        except TLSParameterError as error:
            if registry is None:
                raise
            raise EcrInputError.tls_files(error.args[0]) from error
        finally:
            self.docker_url = docker_url
        return EcrDockerHook.from_docker_hook(
            hook,
            identity=self.resolve_identity(),
            registry=registry,
            alias=reference.find_alias(self.registry_host, _text(self.registry_id), self.region_name),
            engine_urls=engine_urls,
            for_operator=True,
            records_pull_times=self.image_retention is not None,
        )

    @property
    def cli(self) -> EcrClient:
        """Client of the engine. Also sets ``image`` to the full name."""
        client = self.hook.api_client
        # Again, because a subclass may have changed the image since the hook was created.
        self.image, _ = self.resolve_image()
        return client

    def pre_execute(self, context: Context) -> None:
        """Set ``image`` to the full name, before DockerOperator logs it, and store the link."""
        super().pre_execute(context)
        if self.made_of:
            self.log.info("The cluster policy of ecr-docker-operator lets this task log in to Amazon ECR by itself.")
        # Do not create the hook yet: it must use the parameters at execution.
        with suppress(Exception):  # execute raises it again; here it would be in a collapsed log group
            self.image, _ = self.resolve_image()
        EcrImageLink().store(self, context)

    def post_execute(self, context: Context, result: Any = None) -> None:
        """Remove old images, if ``image_retention`` is set; an error in doing so does not fail the task."""
        super().post_execute(context, result)
        if self.image_retention and self.hook.registry:
            remove_old_images(self.cli, self.image, self.image_retention)

    def on_kill(self) -> None:
        """Stop the container, or prevent its start if the pull is still running."""
        try:
            hook = self.hook
        except EcrInputError:  # nothing runs, and execute will raise it
            return
        # Airflow 3 lets a task run for a few more seconds, in which its pull may end.
        hook.start_nothing()
        try:
            super().on_kill()
        except NotFound as error:
            # With auto_remove="force", a task that timed out has already removed it.
            self.log.info("The container does not need to be stopped: %s", error.explanation)


def templates_in(given: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the parameters that are templates, or come from another task."""
    return frozenset(
        name for name in _CHECKED if given.get(name) is not None and reference.literal(given[name]) is None
    )


def _merged(values: list[Any]) -> Any:
    """Return the items of all *values*, which are properties, dictionaries or sequences; the first wins."""
    if any(isinstance(value, property) for value in values):
        return property(lambda self: _merged([v.__get__(self) if isinstance(v, property) else v for v in values]))
    if any(isinstance(value, Mapping) for value in values):
        return {key: value for each in reversed(values) for key, value in each.items()}
    items: dict[Any, Any] = {}
    for value in values:
        for item in value:
            # Links of the same class are the same link.
            items.setdefault(item if isinstance(item, str) else type(item), item)
    return tuple(items.values())


def _text(value: Any) -> Any:
    # With render_template_as_native_obj, an account becomes a number, unless it starts with a zero.
    return str(value) if isinstance(value, int) else value


def _flag(value: bool | str | None) -> bool | str | None:
    # A template renders to a string.
    return {"true": True, "false": False, "none": None}.get(value.lower(), value) if isinstance(value, str) else value

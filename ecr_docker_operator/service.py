"""A Swarm service whose image Amazon ECR does not give out is not created, and says why."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, InvalidVersion

from ecr_docker_operator.auth import left_behind
from ecr_docker_operator.errors import EcrKilledError, EcrPullError
from ecr_docker_operator.image import split_image
from ecr_docker_operator.method import ClientMethod
from ecr_docker_operator.pull import check_renewable, explained

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker.api.client import APIClient

    from ecr_docker_operator.auth import EcrAuthConfig
    from ecr_docker_operator.registry import EcrRegistry

log = logging.getLogger(__name__)


class EcrService(ClientMethod):
    """docker-py's ``APIClient.create_service``, except that an image in Amazon ECR is asked for first.

    Whatever is wrong with it, a Swarm says only "No such image", once a node has tried. The manager's engine
    says what it is (Docker Engine API, "Get image information from the registry"). Asking, and the service itself,
    go with one login: what was tried is what the nodes get. Services of other images are docker-py's.

    :param client: whose method it is.
    :param logins: the client's logins.
    :param is_killed: tells whether the task was killed, so that a service is not left running.
    """

    def __init__(self, client: APIClient, logins: EcrAuthConfig, is_killed: Callable[[], bool]) -> None:
        super().__init__(client.create_service)
        self._inspect, self._remove = client.inspect_distribution, client.remove_service
        self._logins = logins
        self._is_killed = is_killed

    def __call__(self, task_template: Any, *args: Any, **kwargs: Any) -> Any:
        """Create a service; parameters and result are those of ``APIClient.create_service``.

        :raises EcrTokenError: if AWS gives no token.
        :raises EcrPullError: if the registry does not give out the image.
        :raises EcrKilledError: if the task was killed meanwhile.
        """
        image = _image(task_template)
        host, _ = split_image(image)
        registry = self._logins.registry(host)
        if host is None or registry is None:
            return self._method(task_template, *args, **kwargs)
        create = partial(self._method, task_template, *args, **kwargs)
        try:
            return self._create(image, host, registry, create)
        except EcrPullError as error:
            check_renewable(image, error)
            return self._create(image, host, registry, create)

    def _create(self, image: str, host: str, registry: EcrRegistry, create: Callable[[], Any]) -> Any:
        with left_behind(), ExitStack() as held:
            with explained(image, registry, self._logins):
                held.enter_context(self._logins.one_login(host))
                self._ask(image)
            service = create()
        if self._is_killed():
            # It came into being meanwhile, and whoever kills the task does not know of it yet.
            self._remove(service["ID"])
            raise EcrKilledError.before_start()
        return service

    def _ask(self, image: str) -> None:
        try:
            self._inspect(image)
        except (APIError, InvalidVersion) as error:
            if isinstance(error, APIError) and error.is_client_error():
                raise
            # Nodes may reach what their manager does not.
            log.warning("%s: its registry could not be asked before the service is created: %s", image, error)


class EcrInspection(ClientMethod):
    """docker-py's ``APIClient.inspect_distribution``, except that a refusal by Amazon ECR is a sentence.

    :param client: whose method it is.
    :param logins: the client's logins.
    """

    def __init__(self, client: APIClient, logins: EcrAuthConfig) -> None:
        super().__init__(client.inspect_distribution)
        self._logins = logins

    def __call__(self, image: str, *args: Any, **kwargs: Any) -> Any:
        """Ask the registry for *image*; parameters and result are those of ``APIClient.inspect_distribution``.

        :raises EcrTokenError: if AWS gives no token.
        :raises EcrPullError: if the registry does not give out the image.
        """
        registry = self._logins.registry(split_image(image)[0])
        if registry is None:
            return self._method(image, *args, **kwargs)
        with left_behind(), explained(image, registry, self._logins):
            return self._method(image, *args, **kwargs)


def _image(task_template: Any) -> str:
    if not isinstance(task_template, Mapping):
        return ""
    return str((task_template.get("ContainerSpec") or {}).get("Image") or "")

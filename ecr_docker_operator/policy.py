"""Cluster policy: every DockerOperator of a deployment logs in to Amazon ECR by itself, and no DAG is edited.

Off unless ``[ecr_docker] task_policy`` is set. Airflow loads this module in each of its processes (entry point
``airflow.policy``), so it imports next to nothing.
"""

from __future__ import annotations

import logging
import os
import sys
from functools import cache
from inspect import Parameter, signature
from threading import Lock
from types import new_class
from typing import TYPE_CHECKING, Any, NoReturn

from pluggy import HookimplMarker

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTION = "ecr_docker"
OPTIONS = ("task_policy", "aws_conn_id", "verify", "image_retention")
MAX_RETENTION = 10 * 366 * 86400
"""Longest ``image_retention`` in seconds."""
_DOCKER = "airflow.providers.docker.operators.docker"
_SWARM = "airflow.providers.docker.operators.docker_swarm"

# Not airflow.policies.hookimpl: to import Airflow is to load this module, which may be half imported by then.
hookimpl = HookimplMarker("airflow.policy")

log = logging.getLogger(__name__)
_made: dict[tuple[type, str], type | None] = {}
_lock = Lock()


@hookimpl(trylast=True)
def task_policy(task: Any) -> None:
    """Let *task* pull from Amazon ECR, if ``[ecr_docker] task_policy`` is set; Airflow calls this for each task.

    :raises AirflowClusterPolicyViolation: if the task may be on Amazon ECR and an option of the section is invalid.
    """
    # The task comes first, so that a slip in the settings breaks no DAG that has nothing to do with them.
    if _docker_class(task) is not None and _may_be_on_ecr(task) and is_on():
        pull_from_ecr(task, **settings())


def pull_from_ecr(task: Any, **defaults: Any) -> None:
    """Let *task* log in to Amazon ECR at each pull, if it is a DockerOperator, mapped or not; else leave it alone.

    For a ``task_policy`` of your own. The class of the task gets our operator as a parent; its name, its own methods
    and its parameters stay. What is a subclass of :class:`EcrDockerOperator` already is left alone, and so is, with a
    warning, a class that takes one of our parameters for something else or refuses subclasses.

    :param defaults: parameters of :class:`EcrDockerOperator`, such as ``aws_conn_id``, ``verify``, ``botocore_config``
        or ``image_retention``, which has no effect on a Swarm.
    :raises TypeError: for a name that is no such parameter.
    """
    cls = _docker_class(task)
    if cls is None:
        return
    if unknown := sorted(defaults.keys() - _parameters_of_ours()):
        msg = f"{', '.join(unknown)}: no such parameter; there are {', '.join(sorted(_parameters_of_ours()))}."
        raise TypeError(msg)
    made = _make_once(cls, defaults)
    if made is None:
        return
    if isinstance(task, cls):
        # Not with the operator's own __setattr__.
        object.__setattr__(task, "__class__", made)
        return
    from ecr_docker_operator.operator import MERGED  # noqa: PLC0415 - imported by now

    # A mapped task keeps what its class had when the DAG was read.
    for name in MERGED:
        setattr(task, name, getattr(made, name))
    task.operator_class = made


def is_on() -> bool:
    """Return whether the policy is on in this process.

    :raises AirflowClusterPolicyViolation: if ``[ecr_docker] task_policy`` is neither true nor false.
    """
    text = _option("task_policy") or "false"
    found = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}.get(text.lower())
    if found is None:
        _refuse("task_policy", text, "True or False")
    return found


def describe() -> str:
    """Return whether the policy is on in this process, and with which settings."""
    try:
        if is_on():
            given = ", ".join(f"{name}={value!r}" for name, value in settings().items())
            return f"on, with {given or 'the defaults'}"
    except Exception as error:  # noqa: BLE001 - AirflowClusterPolicyViolation, which is not imported
        return str(error)
    return "off"


@cache
def settings() -> dict[str, Any]:
    """Return the parameters of EcrDockerOperator that the deployment sets.

    :raises AirflowClusterPolicyViolation: if an option is unknown or has an invalid value.
    """
    for name in sorted(_given()):
        if name not in OPTIONS:
            _refuse(name, None, f"one of the options {', '.join(OPTIONS)}")
    found: dict[str, Any] = {}
    connection = _option("aws_conn_id")
    if connection is not None:
        found["aws_conn_id"] = connection or None
    if verify := _option("verify"):
        found["verify"] = {"true": True, "false": False}.get(verify.lower(), verify)
        if isinstance(found["verify"], str) and not os.path.exists(verify):  # noqa: PTH110 - pathlib is not imported
            _refuse("verify", verify, "True, False or the path of a CA bundle on this machine")
    if retention := _option("image_retention"):
        from datetime import timedelta  # noqa: PLC0415 - see above

        if not retention.isascii() or not retention.isdigit() or not 0 < int(retention) <= MAX_RETENTION:
            _refuse("image_retention", retention, "a number of seconds above 0, such as 604800 for a week")
        found["image_retention"] = timedelta(seconds=int(retention))
    return found


def _given() -> set[str]:
    from airflow.configuration import conf  # noqa: PLC0415 - Airflow loads this module before its own are

    prefix = f"AIRFLOW__{SECTION.upper()}__"
    # On Airflow 2, a section that only the environment sets is missing in the configuration.
    names = [name.removeprefix(prefix).lower() for name in os.environ if name.startswith(prefix)]
    names += conf.getsection(SECTION) or ()
    return {name.removesuffix("_cmd").removesuffix("_secret") for name in names}


def _option(name: str) -> str | None:
    from airflow.configuration import conf  # noqa: PLC0415 - as above

    found: str | None = conf.get(SECTION, name, fallback=None)
    return None if found is None else found.strip()


def _refuse(name: str, value: str | None, expected: str) -> NoReturn:
    from airflow.exceptions import AirflowClusterPolicyViolation  # noqa: PLC0415 - as above

    got = "" if value is None else f", got {value!r}"
    msg = f"[{SECTION}] {name}: expected {expected}{got}. Correct the configuration."
    raise AirflowClusterPolicyViolation(msg)


def _docker_class(task: Any) -> type | None:
    """Return the class of *task*, mapped or not, if it is a DockerOperator that does not log in by itself yet."""
    # As long as nobody has imported it, no task is one.
    base = getattr(sys.modules.get(_DOCKER), "DockerOperator", None)
    if base is None:
        return None
    cls = type(task) if isinstance(task, base) else getattr(task, "operator_class", None)
    if not (isinstance(cls, type) and issubclass(cls, base)):
        return None
    ours = getattr(sys.modules.get("ecr_docker_operator.operator"), "EcrDockerOperator", None)
    return None if ours is not None and issubclass(cls, ours) else cls


def _may_be_on_ecr(task: Any) -> bool:
    # Most processes need none of it.
    from ecr_docker_operator.ecr.reference import find_registry, literal, split_image  # noqa: PLC0415

    if not hasattr(task, "image") and sets_image(task.operator_class):
        return True
    image = task.image if hasattr(task, "image") else getattr(task, "partial_kwargs", {}).get("image")
    known = literal(image)
    if known is None:  # until it is rendered
        return True
    return find_registry(split_image(known.strip())[0], None) is not None


def sets_image(cls: type) -> bool:
    """Return whether a subclass of DockerOperator has an ``__init__`` that may set or complete the image."""
    written = getattr(cls, "made_of", None) or cls
    maker = next(vars(parent)["__init__"] for parent in written.__mro__ if "__init__" in vars(parent))
    return not maker.__module__.startswith(("airflow.providers.docker.", "ecr_docker_operator."))


def _parameters_of_ours() -> set[str]:
    from ecr_docker_operator.operator import EcrDockerOperator  # noqa: PLC0415

    return set(_defaults(EcrDockerOperator))


@cache
def _defaults(ours: type) -> dict[str, Any]:
    """Return the parameters of *ours* that DockerOperator lacks, with their defaults."""
    parameters = signature(vars(ours)["__init__"]).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is Parameter.KEYWORD_ONLY and p.default is not p.empty}


def _make_once(cls: type, defaults: dict[str, Any]) -> type | None:
    key = (cls, repr(sorted(defaults.items())))
    with _lock:
        if key not in _made:
            _made[key] = _try_to_make(cls, defaults)
        return _made[key]


def _try_to_make(cls: type, defaults: dict[str, Any]) -> type | None:
    name = f"{cls.__module__}.{cls.__qualname__}"
    if own := sorted(_parameters_of_ours().intersection(_own_parameters(cls))):
        log.warning("%s has %s of its own, so it does not log in to Amazon ECR by itself.", name, ", ".join(own))
        return None
    try:
        return _make(cls, defaults)
    except Exception:  # whatever a metaclass or __init_subclass__ raises
        log.warning("%s takes no subclass, so it does not log in to Amazon ECR by itself.", name, exc_info=True)
        return None


def _own_parameters(cls: type) -> Iterator[str]:
    """Yield the names of the parameters that *cls* and its parents take beyond DockerOperator's."""
    for parent in cls.__mro__:
        if (parent.__module__, parent.__name__) == (_DOCKER, "DockerOperator"):
            return
        if "__init__" in vars(parent):
            for parameter in signature(vars(parent)["__init__"]).parameters.values():
                if parameter.kind is not Parameter.VAR_KEYWORD:
                    yield parameter.name


def _make(cls: type, defaults: dict[str, Any]) -> type:
    """Make the class that is *cls*, name included, but logs in to Amazon ECR."""
    from ecr_docker_operator.operator import EcrDockerOperator, templates_in  # noqa: PLC0415

    ours: type = EcrDockerOperator
    given = {**_defaults(ours), **defaults}
    swarm = getattr(sys.modules.get(_SWARM), "DockerSwarmOperator", None)
    if swarm is not None and issubclass(cls, swarm):
        from ecr_docker_operator.swarm import EcrDockerSwarmOperator  # noqa: PLC0415

        ours, given["image_retention"] = EcrDockerSwarmOperator, None

    def initialize(self: Any, **kwargs: Any) -> None:
        # Only for mapped tasks. Not EcrDockerOperator's, which insists on an image; its attributes are the class's.
        cls.__init__(self, **kwargs)  # type: ignore[misc]

    def reduce(self: Any, protocol: Any) -> Any:
        # By its name, pickle would find the class that it was made of.
        function, arguments, *rest = super(made, self).__reduce_ex__(protocol)
        return (_unpickle, (cls, defaults, function, arguments[1:]), *rest)

    body = {
        **given,
        "made_of": cls,
        "_templates": templates_in(defaults),
        "__init__": initialize,
        "__reduce_ex__": reduce,
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
    }
    made: Any = new_class(cls.__name__, (ours, cls), {}, lambda namespace: namespace.update(body))
    return made  # type: ignore[no-any-return]


def _unpickle(cls: type, defaults: dict[str, Any], function: Any, arguments: Any) -> Any:
    return function(_make_once(cls, defaults), *arguments)

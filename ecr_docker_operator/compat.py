"""All differences between versions of Airflow, and the least versions that this package works with."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from airflow.sdk import DAG
    from airflow.sdk.bases.decorator import task_decorator_factory
    from airflow.sdk.bases.operatorlink import BaseOperatorLink
    from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
    from airflow.sdk.execution_time.xcom import XCom
    from airflow.sdk.log import mask_secret

LEAST = {
    "airflow": ("apache-airflow", "2.11"),
    "airflow.providers.amazon": ("apache-airflow-providers-amazon", "9.0"),
    "airflow.providers.docker": ("apache-airflow-providers-docker", "4.4"),
    "docker": ("docker", "7.1"),
}
"""Package -> its distribution and the least version, as in ``pyproject.toml``."""

_PLACES = {
    "AirflowException": ("airflow.sdk.exceptions", "airflow.exceptions"),
    "AirflowNotFoundException": ("airflow.sdk.exceptions", "airflow.exceptions"),
    "BaseOperatorLink": ("airflow.sdk", "airflow.models.baseoperatorlink"),
    "DAG": ("airflow.sdk", "airflow.models.dag"),
    "XCom": ("airflow.sdk.execution_time.xcom", "airflow.models.xcom"),
    "mask_secret": (
        "airflow.sdk.log",  # Airflow 3.1 and later
        "airflow.sdk.execution_time.secrets_masker",  # Airflow 3.0
        "airflow.utils.log.secrets_masker",  # Airflow 2
    ),
    "task_decorator_factory": ("airflow.sdk.bases.decorator", "airflow.decorators.base"),
}
"""Name -> modules of Airflow that have it, newest first."""

_DAG_BAGS = ("airflow.dag_processing.dagbag", "airflow.models.dagbag")  # from Airflow 3.2 on, and before


def require(package: str) -> ModuleType:
    """Import one of the packages in :data:`LEAST`, and return it.

    Pip refuses older versions, unless it is told not to look at dependencies.

    :raises ImportError: if the package is missing or too old; the message is one sentence.
    """
    distribution, least = LEAST[package]
    try:
        found = import_module(package)
    except ModuleNotFoundError as error:
        if not f"{package}.".startswith(f"{error.name}."):
            raise
        installed, step = "none is installed", "install"
    else:
        if _number(found.__version__) >= _number(least):
            return found
        installed, step = f"{found.__version__} is installed", "upgrade"
    msg = f"ecr-docker-operator needs {distribution} {least} or later, and {installed}: {step} {distribution}."
    raise ImportError(msg)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def find(name: str, *places: str) -> Any:
    """Return *name* of the first of the modules *places* that has it.

    :raises ImportError: if none has it.
    """
    for place in places:
        try:
            return getattr(import_module(place), name)
        except (ImportError, AttributeError):
            continue
    msg = (
        f"ecr-docker-operator does not find {name} in the installed Airflow, in none of {', '.join(places)}: "
        "upgrade ecr-docker-operator, or install an earlier Airflow."
    )
    raise ImportError(msg)


# The amazon provider only where it is used: parsing a DAG must not pay for it.
for _package in ("airflow", "airflow.providers.docker", "docker"):
    require(_package)

if not TYPE_CHECKING:
    # On first use: a DAG without our decorator must not pay for Airflow's.
    def __getattr__(name: str) -> Any:
        if name not in _PLACES:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        found = globals()[name] = find(name, *_PLACES[name])
        return found


def is_missing_connection(error: Exception) -> bool:
    """Return whether *error* says that an Airflow connection does not exist.

    Outside a task, Airflow 3.1.0 then fails to import the way to its API server.
    """
    missing: type[Exception] = find("AirflowNotFoundException", *_PLACES["AirflowNotFoundException"])
    return isinstance(error, missing) or (isinstance(error, ImportError) and "SUPERVISOR_COMMS" in str(error))


def use_database() -> None:
    """Let a process outside a task look up connections in Airflow's database.

    Airflow 3.1 and later need this setting, which ``airflow connections test`` also sets.
    """
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")


def dag_folders() -> Iterator[tuple[str, Path | str | Exception]]:
    """Yield the name and folder of each DAG bundle of the deployment, or why there is none; before Airflow 3, one.

    A bundle is brought up to date, as by Airflow: that of a Git repository is cloned. Airflow's examples are omitted.
    """
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    try:
        from airflow.dag_processing.bundles.manager import DagBundlesManager  # noqa: PLC0415 - not in Airflow 2
    except ImportError:
        from airflow.settings import DAGS_FOLDER  # noqa: PLC0415 - only this command needs it

        yield "dags_folder", DAGS_FOLDER
        return
    try:
        manager = DagBundlesManager()
        bundles = {bundle.name: bundle for bundle in manager.get_all_dag_bundles()}
        # Airflow leaves out those that it cannot make; from 3.1 on, it names them.
        names = manager.get_all_bundle_names() if hasattr(manager, "get_all_bundle_names") else bundles
    except Exception as error:  # noqa: BLE001 - the classes are the deployment's choice
        yield "dag_bundle_config_list", error
        return
    for name in names:
        try:
            bundle = bundles.get(name) or manager.get_bundle(name)
            bundle.initialize()
            if not bundle.path.exists():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(bundle.path))  # noqa: TRY301
            yield name, bundle.path
        except Exception as error:  # noqa: BLE001 - as above
            yield name, error


def read_dags(
    folder: Path | str,
    start: Callable[[str], bool],
    take: Callable[[list[Any], dict[str, str]], None],
) -> None:
    """Read the DAGs of a folder or file as Airflow's DAG processor reads them.

    Cluster policies are applied, and ``.airflowignore`` is respected. Nothing is written to the database. What one file
    does to the environment, the current folder, the import path and the modules beside it has no effect on the next.

    :param start: called with the path of each file before it is read; if it returns ``False``, the file is left out.
    :param take: called with the DAGs of each file, and its errors: path -> Airflow's error.
    """
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    home = Path(folder) if Path(folder).is_dir() else Path(folder).parent
    beside = (str(home), *_deployment_folder_of(home))

    class _Bag(find("DagBag", *_DAG_BAGS)):  # type: ignore[misc]
        def process_file(self, filepath: str, *args: Any, **kwargs: Any) -> Any:
            if not start(filepath):
                return []
            known, found = set(self.import_errors), []
            try:
                with _on_its_own(beside):
                    found = super().process_file(filepath, *args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - SystemExit, too: the process is the file's own
                self.import_errors[filepath] = ": ".join(filter(None, (type(error).__name__, str(error))))
            take(found, {name: error for name, error in self.import_errors.items() if name not in known})
            return found

    _Bag(str(folder))


def file_timeout() -> tuple[str, float]:
    """Return the option that limits how long Airflow's DAG processor reads a file, and its value in seconds."""
    from airflow.configuration import conf  # noqa: PLC0415 - only this command needs it

    name = "dag_file_processor_timeout"
    section = "dag_processor" if conf.has_option("dag_processor", name) else "core"  # from Airflow 3 on, and before
    return f"[{section}] {name}", conf.getfloat(section, name)


def _deployment_folder_of(folder: Path) -> Iterator[str]:
    from airflow.settings import DAGS_FOLDER  # noqa: PLC0415 - only this command needs it

    if folder.resolve().is_relative_to(Path(DAGS_FOLDER).resolve()):
        yield DAGS_FOLDER


@contextmanager
def _on_its_own(folders: tuple[str, ...]) -> Iterator[None]:
    """Let what is imported inside the block import its neighbours in *folders*, and leave this process as it was.

    Airflow reads each file in a process of its own.
    """
    environment, path, modules = os.environ.copy(), sys.path.copy(), set(sys.modules)
    try:
        folder = Path.cwd()
    except FileNotFoundError:  # removed; there is no way back
        folder = Path("/")
    sys.path += [folder for folder in folders if folder not in path]
    try:
        yield
    finally:
        sys.path[:] = path
        os.chdir(folder)
        if os.environ != environment:
            os.environ.clear()
            os.environ.update(environment)
        for name in sys.modules.keys() - modules:
            # Airflow gives DAG files names that occur once.
            if not name.startswith("unusual_prefix_") and any(
                place.startswith(folders) for place in _origins(sys.modules[name])
            ):
                del sys.modules[name]


def _origins(module: ModuleType) -> list[str]:
    # A folder without __init__.py is a package without a file.
    return [str(place) for place in (getattr(module, "__file__", None), *getattr(module, "__path__", ())) if place]


__all__ = [
    "DAG",
    "LEAST",
    "AirflowException",
    "AirflowNotFoundException",
    "BaseOperatorLink",
    "XCom",
    "dag_folders",
    "file_timeout",
    "find",
    "is_missing_connection",
    "mask_secret",
    "read_dags",
    "require",
    "task_decorator_factory",
    "use_database",
]

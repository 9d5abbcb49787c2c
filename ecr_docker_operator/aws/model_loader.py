"""Loads botocore's model of one service without listing all services, which would double the time of a login."""

from __future__ import annotations

import json
import logging
import os.path
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.exceptions import DataNotFoundError
from botocore.loaders import JSONFileLoader, Loader

log = logging.getLogger(__name__)


class ModelLoader(Loader):
    """botocore's loader for a process that makes one call.

    Before it loads a model, botocore's loader lists all services that have a model of that type, in more than 400
    folders. A client needs models of two types. This loader looks only in the folder of the service.
    """

    @classmethod
    def install(cls, session: Any) -> None:
        """Make the boto3 *session* use this loader, unless its loader is not botocore's default."""
        try:
            # boto3 has no public access to it.
            botocore_session = session._session  # noqa: SLF001
            loader = botocore_session.get_component("data_loader")
            if type(loader) is not Loader or type(loader.file_loader) is not JSONFileLoader:
                return
            paths = list(loader.search_paths)
            quick = cls(extra_search_paths=paths, file_loader=_Files(), include_default_search_paths=False)
            botocore_session.register_component("data_loader", quick)
        except (AttributeError, TypeError) as error:
            # A later boto3 may keep or build it differently. Then a login only takes longer.
            log.debug("%r: models are loaded by botocore's own loader: %r", session, error)

    def list_available_services(self, type_name: str) -> Sequence[str]:
        """Return the names of the services that have a model of that type, looked up lazily."""
        return _Services(self, type_name)


class _Services(Sequence[str]):
    def __init__(self, loader: ModelLoader, type_name: str) -> None:
        self._loader, self._type_name = loader, type_name

    @cached_property
    def _all(self) -> list[str]:
        return Loader.list_available_services(self._loader, self._type_name)  # type: ignore[no-any-return]

    def __contains__(self, name: object) -> bool:
        try:
            return bool(self._loader.list_api_versions(name, self._type_name))
        except DataNotFoundError:
            return False

    def __getitem__(self, index: Any) -> Any:
        return self._all[index]

    def __len__(self) -> int:
        return len(self._all)


class _Files(JSONFileLoader):
    # Each client reads endpoints.json, the largest uncompressed file (1.2 MB). botocore parses it into OrderedDicts,
    # which takes twice as long as plain dicts.
    def load_file(self, file_path: str) -> Any:
        plain = f"{file_path}.json"
        if os.path.isfile(plain):  # noqa: PTH113 - like botocore: false for a folder without access
            return json.loads(Path(plain).read_bytes())
        return super().load_file(file_path)  # type: ignore[no-untyped-call]

"""How botocore loads the API model of one service, without a look at those of all others."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import DataNotFoundError
from botocore.loaders import JSONFileLoader, Loader


class ModelLoader(Loader):
    """botocore's loader, made for a process that makes one call.

    Before it loads a model, botocore's lists all services that have one of its kind, from more than 400 folders; two
    kinds are needed for a client. This one looks where the service has its own.
    """

    @classmethod
    def install(cls, session: Any) -> None:
        """Let *session*, one of boto3's, load its models so, unless its loader is another than botocore's own."""
        # boto3 has no public way to it. If this one is gone, nothing is lost but time.
        botocore_session = getattr(session, "_session", None)
        if botocore_session is None:
            return
        loader = botocore_session.get_component("data_loader")
        if type(loader) is Loader:
            paths = list(loader.search_paths)
            quick = cls(extra_search_paths=paths, file_loader=_Files(), include_default_search_paths=False)
            botocore_session.register_component("data_loader", quick)

    def list_available_services(self, type_name: str) -> Collection[str]:
        """Return the names of the services that have a model of that type; each is looked for when it is asked for."""
        return _Services(self, type_name)


class _Services(Collection[str]):
    def __init__(self, loader: ModelLoader, type_name: str) -> None:
        self._loader, self._type_name = loader, type_name

    def __contains__(self, name: object) -> bool:
        try:
            return bool(self._loader.list_api_versions(name, self._type_name))
        except DataNotFoundError:
            return False

    def __iter__(self) -> Iterator[str]:
        return iter(Loader.list_available_services(self._loader, self._type_name))

    def __len__(self) -> int:
        return len(list(iter(self)))


class _Files(JSONFileLoader):
    # Those of botocore are OrderedDicts, from when no other had an order; they take three times as long.
    def load_file(self, file_path: str) -> Any:
        file = Path(f"{file_path}.json")
        return json.loads(file.read_bytes()) if file.is_file() else super().load_file(file_path)  # type: ignore[no-untyped-call]

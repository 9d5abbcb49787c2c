"""A method of docker-py's client with something of ours around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class ClientMethod:
    """A method of an ``APIClient``, to be put in its own place; in all that is not a call, it is that method.

    :param method: the client's own method.
    """

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method

    def __getattr__(self, name: str) -> Any:
        if name == "_method":  # while being copied, there is none yet
            raise AttributeError(name)
        return getattr(self._method, name)

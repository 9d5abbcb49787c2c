"""Build small images from Debian's static busybox."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import tarfile
import uuid
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.stand.install import find_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
OCI_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_PROGRAMS = ("cat", "date", "echo", "env", "false", "head", "hostname", "ls", "sh", "sleep", "true")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def digest(content: bytes) -> str:
    """Return the digest of *content* in a registry."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True)
class Image:
    """An image in a registry: layers, configuration and the manifest that names them."""

    layers: tuple[bytes, ...]
    config: bytes
    oci: bool = False
    """Whether its media types are those of the Open Container Initiative, else Docker's."""

    @property
    def media_type(self) -> str:
        """Media type of the manifest."""
        return OCI_MANIFEST_TYPE if self.oci else MANIFEST_TYPE

    @cached_property
    def manifest(self) -> bytes:
        """The image's manifest (Image Manifest Version 2, Schema 2, or OCI Image Manifest)."""
        kind = "application/vnd.docker"
        config, layer = f"{kind}.container.image.v1+json", f"{kind}.image.rootfs.diff.tar.gzip"
        if self.oci:
            config, layer = (f"application/vnd.oci.image.{each}" for each in ("config.v1+json", "layer.v1.tar+gzip"))
        return json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": self.media_type,
                "config": _descriptor(config, self.config),
                "layers": [_descriptor(layer, content) for content in self.layers],
            }
        ).encode()


def build(
    text: str | None = None,
    *,
    oci: bool = False,
    program: bytes | None = None,
    programs: Mapping[str, bytes] | None = None,
    more: Sequence[bytes] = (),
) -> Image:
    """Return an image of busybox with *text* in the file ``/image``; default: a unique text.

    :param oci: as in :class:`Image`.
    :param program: replaces busybox.
    :param programs: name and content of more programs.
    :param more: contents of further files, each in its own layer.
    """
    files = {f"bin/{name}": content for name, content in (programs or {}).items()}
    tars = [_tar({"image": (text or uuid.uuid4().hex).encode(), **files}), _busybox(program)]
    tars += [_tar({f"more{number}": content}) for number, content in enumerate(more)]
    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        # Docker 26.1 loses the output of some containers that end at once (dags/TROUBLESHOOTING.md).
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sh", "-c", "cat /image; exec sleep 0.05"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in tars]},
    }
    return Image(tuple(map(_pack, tars)), json.dumps(config).encode(), oci)


@lru_cache(maxsize=2)  # shared by all images with the same busybox
def _pack(tar: bytes) -> bytes:
    return gzip.compress(tar, mtime=0)


def _busybox(program: bytes | None) -> bytes:
    programs = {f"bin/{name}": "busybox" for name in _PROGRAMS}
    return _tar({"bin/busybox": program or Path(find_program("busybox")).read_bytes()}, programs)


def _tar(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = 0o755, len(data)
            tar.addfile(entry, io.BytesIO(data))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return content.getvalue()


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "size": len(content), "digest": digest(content)}

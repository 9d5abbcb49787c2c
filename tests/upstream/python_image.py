"""Build an image with Python and bash from this machine's own, in place of Docker Hub's python image."""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from importlib.resources import files
from pathlib import Path

from tests.stand.images import Image, build, digest

_LEFT_OUT = {"ensurepip", "dist-packages", "idlelib", "site-packages", "test", "tests", "tkinter"}


def build_python(*packages: str) -> Image:
    """Return an image whose ``python`` is this interpreter.

    :param packages: names of pure Python packages to add to the standard library.
    """
    base = build("python")
    python, bash = Path(sys.executable).resolve(), _find_bash()
    library = Path(sysconfig.get_path("stdlib"))
    programs = [python, bash, *library.glob("lib-dynload/*.so")]
    content = {path: path.read_bytes() for path in (*programs, *_libraries(programs), library / "os.py")}
    # The engine copies an image file by file, so put the modules into the one archive that Python searches.
    content[library.with_name("python{}{}.zip".format(*sys.version_info))] = _modules(library, packages)
    layer = _tar(content, {"bin/python": python, "bin/python3": python, "bin/bash": bash})
    config = json.loads(base.config)
    config["rootfs"]["diff_ids"].append(digest(layer))
    # Compress quickly: only the stand's engine gets the layer.
    return Image((*base.layers, gzip.compress(layer, 1, mtime=0)), json.dumps(config).encode())


def _find_bash() -> Path:
    path = shutil.which("bash")
    if path is None:
        msg = "The provider's decorator tests run bash in a container, and take this machine's: install bash."
        raise RuntimeError(msg)
    return Path(path).resolve()


def _libraries(programs: list[Path]) -> set[Path]:
    """Return the shared libraries that *programs* load."""
    done = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False)
    return {Path(path) for path in re.findall(r"(?:=> |^\t)(/\S+)", done.stdout, re.MULTILINE)}


def _modules(library: Path, packages: tuple[str, ...]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        folders = [library, *(Path(str(files(name))) for name in packages)]
        for folder in folders:
            root = library if folder is library else folder.parent
            for path in sorted(folder.rglob("*.py")):
                name = path.relative_to(root)
                # Debian's sitecustomize.py is a link to a file that only a whole installation has.
                if path.exists() and not _LEFT_OUT & set(name.parts):
                    archive.write(path, name)
    return content.getvalue()


def _tar(files: dict[Path, bytes], links: dict[str, Path]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for path, data in sorted(files.items()):
            entry = tarfile.TarInfo(str(path).lstrip("/"))
            entry.mode, entry.size = 0o755, len(data)
            tar.addfile(entry, io.BytesIO(data))
        for name, path in links.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, str(path)
            tar.addfile(entry)
    return content.getvalue()

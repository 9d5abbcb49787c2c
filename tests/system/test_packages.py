"""Packages that the stand installs: their services neither start now nor at the next boot."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.stand.packages import _NO_SERVICE
from tests.system.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

# A package as debhelper makes it for a service.
CONTROL = """\
Package: ecr-tiny
Version: 1
Architecture: all
Maintainer: tests <tests@example.com>
Description: a service
"""
AFTER = """\
#!/bin/sh
touch /etc/ecr-tiny.configures
sleep "${ECR_TINY_SECONDS:-0}"
deb-systemd-helper enable ecr-tiny.service
update-rc.d ecr-tiny defaults
invoke-rc.d ecr-tiny start
"""
UNIT = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
SCRIPT = """\
#!/bin/sh
### BEGIN INIT INFO
# Provides: ecr-tiny
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: a service
### END INIT INFO
touch /etc/ecr-tiny.started
"""
# Folders that an installation changes; what the test writes there goes to memory.
FOLDERS = "/etc /usr/sbin /usr/lib/systemd /var/lib/dpkg /var/lib/systemd"
IN_COPIES = """
set -e
mount -t tmpfs tmpfs "$1/copies"
for folder in $2; do
    upper="$1/copies/upper$folder" work="$1/copies/work$folder"
    mkdir -p "$upper" "$work"
    mount -t overlay -o "lowerdir=$folder,upperdir=$upper,workdir=$work" overlay "$folder"
done
mount -t tmpfs tmpfs /var/lib/apt
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/* /usr/sbin/policy-rc.d
echo 'APT::Sandbox::User "root";' > /etc/apt/apt.conf.d/zz
echo "deb [trusted=yes] file:$1/repository ./" > /etc/apt/sources.list
if [ "$3" ]; then printf %s "$3" > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; fi
"$4" -c "$5" || true
dpkg-query --show --showformat '${Status}\n' ecr-tiny 2> /dev/null || echo 'not installed'
wanted=/etc/systemd/system/multi-user.target.wants/ecr-tiny.service
ls /etc/ecr-tiny.started "$wanted" /etc/rc2.d/S*ecr-tiny 2> /dev/null || true
cat /usr/sbin/policy-rc.d 2> /dev/null || echo "no policy-rc.d"
"""
INSTALL = "from tests.stand.packages import install; print(install(['ecr-tiny']) or 'installed')"

INTERRUPTED = """
import os, pathlib, signal, threading, time
from tests.scratch import scratch
from tests.stand.packages import install

def interrupt():
    while not pathlib.Path("/etc/ecr-tiny.configures").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)

os.environ["ECR_TINY_SECONDS"] = "3"
threading.Thread(target=interrupt).start()
with scratch():
    install(["ecr-tiny"])
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Provide a folder for the test, with a repository of one package."""
    place = tmp_path_factory.mktemp("apt")
    tree, packages = place / "tree", place / "repository"
    packages.mkdir()
    (place / "copies").mkdir()
    for name, text, mode in (
        ("DEBIAN/control", CONTROL, 0o644),
        ("DEBIAN/postinst", AFTER, 0o755),
        ("lib/systemd/system/ecr-tiny.service", UNIT, 0o644),
        ("etc/init.d/ecr-tiny", SCRIPT, 0o755),
    ):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
        (tree / name).chmod(mode)
    package = packages / "ecr-tiny.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, package], check=True, capture_output=True)
    content = package.read_bytes()
    index = f"{CONTROL}Filename: ./ecr-tiny.deb\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
    (packages / "Packages").write_text(index)
    return place


def install(place: Path, program: str = INSTALL, *, policy: str = "") -> list[str]:
    """Install the package in copies of the machine's folders; return what is printed, then what is found.

    :param policy: content of the machine's ``policy-rc.d``; empty: there is none.
    """
    script = ["sh", "-c", IN_COPIES, "sh", str(place), FOLDERS, policy, sys.executable, program]
    done = subprocess.run(["unshare", "--mount", *script], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("policy", "left"),
    [("", "no policy-rc.d"), (_NO_SERVICE, "no policy-rc.d"), ("#!/bin/sh\nexit 0\n# own\n", "# own")],
    ids=["none", "left-by-a-killed-run", "the-machine's-own"],
)
def test_no_service(policy: str, left: str, repository: Path) -> None:
    """The service is installed and not enabled, nor started unless the machine's own policy says so; that stays."""
    printed, status, *started, last = install(repository, policy=policy)
    assert (printed, status) == ("installed", "install ok installed")
    assert last == left
    if left != "# own":
        assert started == []
    else:
        assert not [line for line in started if line.startswith(("/etc/systemd", "/etc/rc"))]


def test_interrupted(repository: Path) -> None:
    """An interrupt waits for the packages, whose services stay disabled, and the policy is gone."""
    assert install(repository, INTERRUPTED) == ["install ok installed", "no policy-rc.d"]


def test_no_package(repository: Path) -> None:
    """The last line says why it failed."""
    program = INSTALL.replace("ecr-tiny", "ecr-none")
    *_, reason, _, _ = install(repository, program)
    assert reason == "apt-get install failed. Unable to locate package ecr-none"

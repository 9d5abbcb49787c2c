"""Cases of the engine and the container: they end too early or run out of space."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow.providers.docker.exceptions import DockerContainerFailedException
from docker.types.services import Mount

from ecr_docker_operator import EcrEngineError, EcrPullError, EcrStartError
from tests.reliability.case import Case, Scene
from tests.reliability.registry_cases import NOT_PULLED
from tests.stand.certificates import Authority
from tests.stand.images import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

WAIT = "while [ ! -e /scene/mended ]; do sleep 0.1; done"
# An engine does not report what happens before it watches, a moment after the start (containerd, its shim for runc),
# nor what it notices only after the container's end: so the shell waits first, and outlives the killed process.
HOG = (
    "[ -e /scene/mended ] || { sleep 3; (while true; do x=x$x$x; done); "
    "n=0; while [ ! -e /scene/reported ] && [ $((n += 1)) -lt 300 ]; do sleep 0.1; done; exit 137; }"
)


@contextmanager
def no_engine(scene: Scene) -> Iterator[None]:
    """Point the worker to a socket that does not exist."""
    scene.push()
    scene.words["nowhere"] = f"unix://{scene.directory}/docker.sock"
    scene.set("DOCKER_HOST", scene.words["nowhere"])
    yield
    scene.set("DOCKER_HOST", scene.stand.engine.url)


@contextmanager
def stranger(scene: Scene) -> Iterator[None]:
    """Give the worker a client certificate of an authority that the engine does not know."""
    scene.push()
    engine, files = scene.stand.engine, scene.directory
    (files / "ca.pem").write_text(engine.authority.certificate)
    client = files / "client.pem"
    client.write_bytes(Authority(files).issue_file("worker").read_bytes())
    scene.words["remote"] = engine.remote_url
    scene.parameters |= {
        "docker_url": engine.remote_url,
        "tls_ca_cert": str(files / "ca.pem"),
        "tls_client_cert": str(client),
        "tls_client_key": str(client),
    }
    yield
    client.write_bytes(engine.authority.issue_file("worker").read_bytes())


@contextmanager
def restarted_during_pull(scene: Scene) -> Iterator[None]:
    """Crash the engine when it requests the first layer."""
    scene.push()
    scene.stand.registry.at_next_layer(scene.stand.engine.kill)
    yield
    scene.stand.registry.at_next_layer(None)
    start_again(scene)


def start_again(scene: Scene) -> None:
    """Start the engine again if it crashed."""
    if not scene.stand.engine.running:
        scene.stand.engine.start()


def run_until_mended(scene: Scene, script: str) -> None:
    """Run *script* in the container; the file ``/scene/mended`` in it signals that the fault is fixed."""
    scene.push()
    scene.parameters["command"] = ["sh", "-c", script]
    scene.parameters["mounts"] = [Mount("/scene", str(scene.directory), type="bind")]


def mend(scene: Scene) -> None:
    """Signal to the container that the fault is fixed."""
    (scene.directory / "mended").touch()


def once_it_runs(action: Callable[[Scene, str], object]) -> Callable[[Scene], AbstractContextManager[None]]:
    """Return a context manager that calls *action* with the scene and its container once the container runs."""

    def act(scene: Scene, over: threading.Event) -> None:
        while not over.wait(0.05):
            running = scene.stand.engine.client.containers(filters={"ancestor": scene.image})
            if running:
                action(scene, running[0]["Id"])
                return

    @contextmanager
    def breaks(scene: Scene) -> Iterator[None]:
        run_until_mended(scene, WAIT)
        over = threading.Event()
        acting = threading.Thread(target=act, args=(scene, over))
        acting.start()
        yield
        over.set()
        acting.join()
        mend(scene)

    return breaks


@contextmanager
def killed_during_run(scene: Scene) -> Iterator[None]:
    """Crash the engine while the container runs."""
    with once_it_runs(lambda scene, _: scene.stand.engine.kill())(scene):
        yield
    start_again(scene)


@contextmanager
def disk_full(scene: Scene) -> Iterator[None]:
    """Leave the engine no room for the image."""
    scene.push()
    with scene.stand.engine.full_disk():
        yield


@contextmanager
def disk_full_at_the_start(scene: Scene) -> Iterator[None]:
    """Leave the engine no room for the container of an image that it has."""
    scene.push()
    scene.run()
    with scene.stand.engine.full_disk():
        yield


@contextmanager
def other_architecture(scene: Scene) -> Iterator[None]:
    """Build the image for another architecture."""
    image = build(program=b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00" + bytes(44))
    config = {**json.loads(image.config), "architecture": "riscv64"}
    scene.push(image=replace(image, config=json.dumps(config).encode()))
    scene.words["platform"] = f"linux/{scene.stand.engine.client.version()['Arch']}"
    yield
    scene.push()


@contextmanager
def out_of_memory(scene: Scene) -> Iterator[None]:
    """Make the container need more memory than its limit."""
    run_until_mended(scene, HOG)
    if scene.stand.kind.podman:  # it has no such event
        (scene.directory / "reported").touch()
        yield
        mend(scene)
        return
    reports = scene.stand.engine.client.events(filters={"event": "oom"}, decode=True)

    def wait_for_the_report() -> None:
        for _ in reports:
            (scene.directory / "reported").touch()
            break

    waiting = threading.Thread(target=wait_for_the_report)
    waiting.start()
    yield
    reports.close()
    waiting.join()
    mend(scene)


FAILED = "Docker container failed: *"
KILLED = f"{FAILED}{{image}}: the container was killed (exit code 137)"
LOST = (
    "{engine}: the connection to the Docker engine was lost. * See the engine's own log; the task can be tried again."
)

CASES = [
    Case(
        "engine not there",
        "{nowhere}: not connected to the Docker engine. No such file or directory. "
        "Start the engine there, or set docker_url to where it is.",
        no_engine,
        EcrEngineError,
    ),
    Case(
        "TLS of the engine",
        "{remote}: not connected to the Docker engine. * The engine did not accept the worker's certificate, or got "
        "none: set tls_client_cert, and its key in tls_client_key, to one that is valid today and signed by an "
        "authority of the engine's tlscacert.",
        stranger,
        EcrEngineError,
        over_tls=True,
    ),
    Case("restarted during the pull", f"{{image}}: not pulled. {LOST}", restarted_during_pull, EcrEngineError),
    Case("killed during the run", LOST, killed_during_run, EcrEngineError),
    Case(
        "disk full",
        f"{NOT_PULLED} *no space left on device* "
        "Free disk space on the engine's host, for instance with 'docker image prune'.",
        disk_full,
        EcrPullError,
    ),
    Case(
        "disk full when the container starts",
        "*: the container was not started. *",
        disk_full_at_the_start,
        EcrStartError,
    ),
    Case(
        "another architecture",
        f"{FAILED}{{image}}: the image is for linux/riscv64, and the engine runs {{platform}}, where its programs "
        "end with 'exec format error' unless they are emulated. Push an image for {platform}, too.*",
        other_architecture,
        DockerContainerFailedException,
        {"force_pull": True},
    ),
    Case(
        "out of memory",
        f"{KILLED}: it was out of memory, at its limit of 16 MiB. Raise mem_limit.*",
        out_of_memory,
        DockerContainerFailedException,
        {"mem_limit": "16m"},
    ),
    Case(
        "killed, not out of memory",
        f"{KILLED}; the engine does not report that it was out of memory. Find out who stopped it.*",
        once_it_runs(lambda scene, container: scene.stand.engine.client.kill(container)),
        DockerContainerFailedException,
    ),
]

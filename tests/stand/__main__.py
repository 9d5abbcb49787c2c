"""Run the quickstart DAG through Airflow: on the stand or, if ``ECR_IMAGE`` is set, on your own engine and account."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.isolation import isolated

_ISOLATION = ExitStack()
if __name__ == "__main__":
    # Airflow reads its configuration when it is first imported.
    _ISOLATION.enter_context(isolated(own_image="ECR_IMAGE" in os.environ))

from ecr_docker_operator import EcrError
from ecr_docker_operator.ecr.reference import resolve
from tests.airflow_home import AirflowHome
from tests.stand import Stand
from tests.stand.images import build
from tests.stand.install import StandUnavailableError

DAGS = Path(__file__).parents[2] / "dags"
HELLO = "Hello from a container whose image was pulled from Amazon ECR."


def main() -> int:
    """Run the DAG, print what happened, and return the exit status."""
    with ExitStack() as parts:
        directory = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="airflow-")))
        environment = {}
        image = os.environ.get("ECR_IMAGE")
        if image is None:
            say("Starting a real engine, a real registry, and a stand-in for AWS's API.")
            stand = parts.enter_context(Stand())
            image = stand.push("hello", image=build(HELLO))
            environment = {**stand.environment, "ECR_IMAGE": image}
        _, registry = resolve(image, None, None, None, lambda: None)
        say(f"Running dags/quickstart.py through Airflow, with the image {image}.")
        run = AirflowHome(directory, DAGS).run("quickstart", environment)
        if not run.succeeded:
            say(run.log)
            errors = re.findall(r"\bEcr\w*Error: (.+)", run.log) or re.findall(r"\b\w+(?:Error|Exception): .+", run.log)
            say("The DAG failed; its log is above.", *errors[-1:])
            return 1
        say("", *run.results.get(("container", -1), ["(the container printed nothing)"]), "")
        say(
            f"image:        {image}",
            f"registry:     {registry or 'not on Amazon ECR'}",
            f"tokens asked: {run.log.count('asking for an authorization token')}",
            f"pulled:       {'yes' if 'Pulling docker image' in run.log else 'no, the engine had it'}",
        )
    return 0


def say(*lines: str) -> None:
    """Print *lines*."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        with _ISOLATION:
            sys.exit(main())
    except (EcrError, StandUnavailableError) as error:
        sys.exit(str(error))

"""Keep the machine's own Airflow, AWS and Docker configuration out of the tests."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOREIGN = ("AIRFLOW", "AWS_", "DOCKER_", "ECR_", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


@contextmanager
def isolated() -> Iterator[None]:
    """Replace the configuration in the environment with a new directory until the ``with`` block ends.

    Call this before the first import of Airflow, which reads the configuration.
    """
    with tempfile.TemporaryDirectory(prefix="ecr-tests-", ignore_cleanup_errors=True) as directory:
        for name in [name for name in os.environ if name.startswith(_FOREIGN)]:
            del os.environ[name]
        os.environ.update(
            {
                "AIRFLOW_HOME": f"{directory}/airflow",
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AWS_CONFIG_FILE": f"{directory}/no-aws-config",
                "AWS_SHARED_CREDENTIALS_FILE": f"{directory}/no-aws-credentials",
                "AWS_EC2_METADATA_DISABLED": "true",
                # Libraries that make DAGs report how they are used.
                "DO_NOT_TRACK": "1",
                "SCARF_NO_ANALYTICS": "true",
                "DOCKER_CONFIG": f"{directory}/no-docker-config",
                "HYPOTHESIS_STORAGE_DIRECTORY": f"{directory}/hypothesis",
                "NO_PROXY": "127.0.0.1,localhost",
                "no_proxy": "127.0.0.1,localhost",
            }
        )
        yield

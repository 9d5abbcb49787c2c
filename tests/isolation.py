"""Keep the machine's own Airflow, AWS, Docker and proxy settings out of the tests."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.scratch import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOREIGN = ("AIRFLOW", "AWS_", "DOCKER_", "ECR_", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY")
_OUTSIDE = "STAND_PROXIES"
_HERE = "127.0.0.1,localhost"


@contextmanager
def isolated(*, own_image: bool = False) -> Iterator[None]:
    """Replace the configuration in the environment with a new directory until the ``with`` block ends.

    Call this before the first import of Airflow, which reads the configuration.

    :param own_image: replace only Airflow's, except its connections: an image of the user's own comes from the user's
        own AWS account and runs on the user's own engine.
    """
    with scratch(), tempfile.TemporaryDirectory(prefix="ecr-tests-", ignore_cleanup_errors=True) as directory:
        own = {"AIRFLOW_HOME": f"{directory}/airflow", "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        if own_image:
            foreign = [name for name in os.environ if name.startswith("AIRFLOW") and "_CONN_" not in name]
            # Airflow 3 calls its own API on this machine.
            for name in ("NO_PROXY", "no_proxy"):
                own[name] = ",".join(filter(None, (os.environ.get(name), _HERE)))
        else:
            foreign = [name for name in os.environ if name.startswith(_FOREIGN) or name.upper() in _PROXIES]
            proxies = {name: os.environ[name] for name in foreign if name.upper() in _PROXIES}
            own |= {
                "AWS_CONFIG_FILE": f"{directory}/no-aws-config",
                "AWS_SHARED_CREDENTIALS_FILE": f"{directory}/no-aws-credentials",
                "AWS_EC2_METADATA_DISABLED": "true",
                # Libraries that make DAGs report how they are used.
                "DO_NOT_TRACK": "1",
                "SCARF_NO_ANALYTICS": "true",
                "DOCKER_CONFIG": f"{directory}/no-docker-config",
                "HYPOTHESIS_STORAGE_DIRECTORY": f"{directory}/hypothesis",
                "NO_PROXY": _HERE,
                "no_proxy": _HERE,
                # A child process, whose proxies are gone, must not record that there are none.
                _OUTSIDE: os.environ.get(_OUTSIDE, json.dumps(proxies)),
            }
        for name in foreign:
            del os.environ[name]
        os.environ.update(own)
        yield


def online() -> dict[str, str]:
    """Return the environment for a program that downloads packages: this process's, with the machine's own proxies."""
    outside = os.environ.get(_OUTSIDE)
    if outside is None:
        return dict(os.environ)
    rest = {name: value for name, value in os.environ.items() if name.upper() not in _PROXIES}
    return {**rest, **json.loads(outside)}

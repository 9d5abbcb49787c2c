"""The configuration of a deployment: it starts and reacts quickly, and is isolated on this machine."""

from __future__ import annotations

import secrets
import socket
from base64 import urlsafe_b64encode
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def settings(url: str, database_url: str, logs: Path) -> dict[str, str]:
    """Return Airflow's settings as environment variables, with new secrets.

    :param url: of the API server.
    """
    key = secrets.token_hex(32)
    options = {
        "core": {
            "dags_are_paused_at_creation": "False",
            "execution_api_server_url": f"{url}/execution/",
            "fernet_key": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            # Airflow's default queries DNS.
            "hostname_callable": "socket.gethostname",
            "load_examples": "False",
            # LocalExecutor starts this many processes at once.
            "parallelism": "8",
            "simple_auth_manager_all_admins": "True",
        },
        "database": {"sql_alchemy_conn": database_url},
        "logging": {"base_log_folder": str(logs), "logging_level": "INFO"},
        "api": {"base_url": url, "secret_key": key, "workers": "1"},
        "api_auth": {"jwt_secret": key},
        "webserver": {"secret_key": key, "workers": "1"},
        "scheduler": {"scheduler_idle_sleep_time": "0.5"},
        # One is enough.
        "dag_processor": {"parsing_processes": "1", "min_file_process_interval": "3600"},
        "usage_data_collection": {"enabled": "False"},
    }
    return {
        "NO_COLOR": "1",
        "PYTHONWARNINGS": "ignore",
        **{
            f"AIRFLOW__{section}__{name}".upper(): value
            for section, values in options.items()
            for name, value in values.items()
        },
    }


def free_port() -> int:
    """Return a free port of 127.0.0.1, outside those that Linux gives to others in the meantime (ip(7))."""
    while True:
        port = 20_000 + secrets.randbelow(12_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port

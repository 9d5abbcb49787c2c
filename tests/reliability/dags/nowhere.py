"""Tasks that succeed and fail in every way that involves a token, and two that leak one on purpose."""

from __future__ import annotations

import logging
import os
import tempfile
import traceback
from datetime import timedelta
from pathlib import Path

from airflow import DAG

from ecr_docker_operator import EcrDockerHook, EcrDockerOperator, EcrError

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
log = logging.getLogger(__name__)
PLANTED = os.environ.get("PLANTED", "nothing")

with DAG(
    "nowhere", schedule=None, default_args={"force_pull": True, "retry_delay": timedelta(0)}, params={"tag": "1"}
) as dag:
    EcrDockerOperator(task_id="pulled", image=f"{HOST}/app:{{{{ params.tag }}}}", xcom_all=True)
    EcrDockerOperator.partial(task_id="mapped").expand(image=[f"{HOST}/app:1", "public.ecr.aws/team/public:1"])
    EcrDockerOperator(task_id="missing", image=f"{HOST}/app:missing")
    EcrDockerOperator(task_id="refused_by_policy", image="210987654321.dkr.ecr.eu-west-1.amazonaws.com/theirs:1")
    EcrDockerOperator(task_id="failing_container", image=f"{HOST}/app:1", command="false", retries=1)
    EcrDockerOperator(task_id="failing_layer", image=f"{HOST}/broken:1")
    EcrDockerOperator(task_id="expired", image=f"{HOST}/expired:1")
    EcrDockerOperator(task_id="token_refused", image=f"{HOST}/app:1", aws_conn_id="refused")

    @dag.task
    def own_code() -> str:
        """Pull in your own code, and print every object within reach."""
        hook = EcrDockerHook(base_url=os.environ["DOCKER_HOST"])
        client = hook.get_conn()
        client.pull(f"{HOST}/app:1")
        log.info("%s", [vars(hook), vars(client), vars(client.pull)])
        try:
            client.pull(f"{HOST}/app:missing")
        except EcrError as error:
            told = traceback.TracebackException.from_exception(error, capture_locals=True)
            log.info("%s", "".join(told.format()))
        return repr(vars(hook))

    own_code()

    EcrDockerOperator(
        task_id="planted",
        image=f"{HOST}/app:1",
        # Long enough to observe the processes.
        command=["sh", "-c", 'echo "$0"; sleep 3; exit', PLANTED],
        environment={"PLANTED": PLANTED},
    )

    @dag.task
    def planted_in_files() -> None:
        """Write planted tokens where a worker writes."""
        for folder in (tempfile.gettempdir(), str(Path.home()), os.environ["DOCKER_CONFIG"]):
            Path(folder, "planted").write_text(PLANTED)

    planted_in_files()

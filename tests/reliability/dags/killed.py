"""A task whose first try never ends by itself; later tries do."""

from airflow import DAG

from ecr_docker_operator import EcrDockerOperator

FIRST = "trap 'exit 1' TERM; sleep 600 & wait"

with DAG("killed", schedule=None):
    EcrDockerOperator(
        task_id="container",
        image="{{ dag_run.conf['image'] }}",
        command=["sh", "-c", "[ {{ ti.try_number }} -gt 1 ] || { %s; }; cat /image" % FIRST],  # noqa: UP031 - braces
        auto_remove="force",
    )

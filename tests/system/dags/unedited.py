"""DAGs of a team that knows nothing of this package: every one of these tasks is a DockerOperator's."""

from typing import Any

from airflow import DAG
from airflow.providers.docker.operators.docker import DockerOperator

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1"


class Greeting(DockerOperator):
    """A subclass with its own template and its own execute."""

    template_fields = (*DockerOperator.template_fields, "greeting")

    def __init__(self, *, greeting: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.greeting = greeting

    def execute(self, context: Any) -> Any:
        """Set the command, then run it."""
        self.command = f"echo {self.greeting}"
        return super().execute(context)


with DAG("unedited", schedule=None, params={"image": IMAGE, "name": "you"}):
    common = {"mount_tmp_dir": False, "auto_remove": "force"}
    plain = DockerOperator(task_id="plain", image=IMAGE, force_pull=True, **common)
    templated = DockerOperator(task_id="templated", image="{{ params.image }}", docker_conn_id="deleted", **common)
    mapped = DockerOperator.partial(task_id="mapped", image=IMAGE, **common).expand(command=["echo a", "echo b"])
    subclass = Greeting(task_id="subclass", image=IMAGE, greeting="hello {{ params.name }}", **common)
    up = DockerOperator(task_id="up", image=IMAGE, command="echo up", **common).as_setup()
    down = DockerOperator(task_id="down", image=IMAGE, command="echo down", **common).as_teardown(setups=up)
    up >> [plain, templated] >> down
    plain >> mapped
    plain >> subclass

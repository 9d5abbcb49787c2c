"""Cosmos makes a task of each model of a dbt project; nothing here names this package."""

from pathlib import Path

from airflow import DAG
from cosmos import DbtDag, DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import ExecutionMode, LoadMode

PROJECT = Path(__file__).parents[1] / "dbt"
COMMON = {
    "project_config": ProjectConfig(manifest_path=PROJECT / "manifest.json", project_name="shop"),
    "profile_config": ProfileConfig(
        profile_name="shop", target_name="dev", profiles_yml_filepath=PROJECT / "profiles.yml"
    ),
    "execution_config": ExecutionConfig(execution_mode=ExecutionMode.DOCKER, dbt_project_path=PROJECT),
    "render_config": RenderConfig(load_method=LoadMode.DBT_MANIFEST),
    "operator_args": {
        "image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/dbt:1",
        "mount_tmp_dir": False,
        "auto_remove": "force",
    },
}

dbt_dag = DbtDag(dag_id="dbt_dag", schedule=None, **COMMON)

with DAG("dbt_task_group", schedule=None):
    DbtTaskGroup(group_id="shop", **COMMON)

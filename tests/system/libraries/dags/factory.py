"""dag-factory makes the DAG ``from_yaml`` of a file."""

from pathlib import Path

from dagfactory import load_yaml_dags

# Airflow looks for the word DAG in a file before it reads it.
load_yaml_dags(globals_dict=globals(), config_filepath=str(Path(__file__).parents[1] / "from_yaml.yml"))

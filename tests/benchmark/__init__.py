"""The cost of EcrDockerOperator compared with its alternatives: ``python -m tests.benchmark`` prints it."""

"""What EcrDockerOperator costs, beside what people would use instead: ``python -m tests.benchmark`` prints it."""

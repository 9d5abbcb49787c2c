"""The package's command line: ``python -m ecr_docker_operator check IMAGE``."""

from ecr_docker_operator.check.cli import main

if __name__ == "__main__":
    main()

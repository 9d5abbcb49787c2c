"""The ``check`` command: checks all that a task needs, without a pull."""

"""The command `check`: what would a task need, and is it there? Pulls nothing."""

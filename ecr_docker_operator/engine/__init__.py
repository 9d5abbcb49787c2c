"""What we say to the Docker engine."""

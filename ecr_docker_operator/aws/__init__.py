"""What we say to AWS."""

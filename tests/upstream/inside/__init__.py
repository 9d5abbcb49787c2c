"""Code that runs inside the provider's own test suite; this folder is on its import path."""

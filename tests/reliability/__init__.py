"""Behaviour under failure and load: errors are clear, tokens never leak, and load is handled."""

"""The provider's own tests, with our classes in place of its."""

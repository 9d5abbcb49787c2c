"""The provider's own tests, run with our classes in place of the provider's."""

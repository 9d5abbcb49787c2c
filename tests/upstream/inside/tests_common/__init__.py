"""A stub for the unpublished modules of Airflow's own repository that the provider's tests need."""

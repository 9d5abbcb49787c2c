"""What the provider's tests take from Airflow's own repository, which is not published: a stub of ours."""

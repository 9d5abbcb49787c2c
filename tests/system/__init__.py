"""The system: real engine, real registry, real boto3, real Airflow."""

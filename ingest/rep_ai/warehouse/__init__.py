"""What dbt has built: the names of schemas and tables, and the questions that commands ask."""

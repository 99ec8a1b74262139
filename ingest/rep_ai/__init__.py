"""Rep.ai's nightly activity dumps: read, landed with dlt, handed to dbt."""

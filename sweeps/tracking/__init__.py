"""The way of a sweep's records to MLflow: spool, uploader."""

"""Transport of a sweep's records to MLflow: spool, tracker and uploader."""

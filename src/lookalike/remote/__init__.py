"""Photos and tables in object stores and on the web: s3://, gs://, az://, https://."""

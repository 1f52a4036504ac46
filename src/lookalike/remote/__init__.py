"""Photos and tables that lie in object stores or on the web: s3://, gs://, az://, https://."""

"""Where items come from: a folder, a table, the drawn sample."""

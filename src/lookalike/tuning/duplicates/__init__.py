"""Duplicates of a gallery: photos that are there twice, and products that may be one."""

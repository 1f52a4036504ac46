"""Drawn data sets in the layouts of the published ones, with all their quirks.

They replace data that may not be redistributed: tests and new users can run every command on them.
"""

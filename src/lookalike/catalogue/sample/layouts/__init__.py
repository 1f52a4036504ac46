"""Drawn data sets in the layouts of the published ones, with all their quirks.

They stand in for data that may not be passed on: tests and newcomers can run every command on them.
"""

"""Answers as pictures and pages."""

from lookalike.render.html import html_page, write_html
from lookalike.render.montage import montage, picture_format, write_montage

__all__ = ["html_page", "montage", "picture_format", "write_html", "write_montage"]

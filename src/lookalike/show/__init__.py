"""Answers as pictures and pages."""

from lookalike.show.html import html_page, write_html
from lookalike.show.montage import montage, picture_format, write_montage

__all__ = ["html_page", "montage", "picture_format", "write_html", "write_montage"]

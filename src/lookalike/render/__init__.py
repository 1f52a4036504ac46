"""Answers as pictures and HTML pages."""

from lookalike.render.html import html_page, write_html
from lookalike.render.montage import image_format, montage, write_montage

__all__ = ["html_page", "image_format", "montage", "write_html", "write_montage"]

"""`lookalike gallery` with all its commands."""

from __future__ import annotations

from lookalike.cli import backup, duplicates, remodel, transfer
from lookalike.cli.gallery import app

__all__ = ["app"]

app.command("export")(transfer.export_gallery)
app.command("import")(transfer.import_gallery)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("remodel")(remodel.remodel)
app.command("duplicates")(duplicates.duplicates)
app.command("merge")(duplicates.merge)

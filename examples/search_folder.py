"""Index a folder of photos, and search it with another photo.

python examples/search_folder.py FOLDER PHOTO
"""

import sys

import lookalike


def main(folder: str, photo: str) -> None:
    """Index, and print the five best matches."""
    with lookalike.open("folder.gallery") as gallery:
        report = gallery.index(folder)
        print(f"{report.added} photos added, {report.unchanged} unchanged, {len(report.skipped)} skipped")
        for match in gallery.search(photo, k=5).matches:
            print(f"{match.rank}. {match.item.id}  score {match.score:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])

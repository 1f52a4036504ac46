"""Write two feeds of a shop, of one night and of the next, from the drawn sample.

lookalike demo
python examples/shop/feed.py demo/catalogue
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

NEW, GONE = 6, 3
"""Products that the second night brings, and takes away."""


def main(folder: Path) -> None:
    """Write `feed-2026-11-28.csv` and `feed-2026-11-29.csv` beside the catalogue."""
    with (folder / "catalogue.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    products = list(dict.fromkeys(row["product"] for row in rows))
    write(folder / "feed-2026-11-28.csv", rows, products[:-NEW], discount=0)
    write(folder / "feed-2026-11-29.csv", rows, products[GONE:], discount=20)


def write(feed: Path, rows: list[dict[str, str]], products: list[str], *, discount: int) -> None:
    """Write the photos of some products; every fifth product is on sale, and every seventh out of stock.

    Args:
        feed: File to write.
        rows: Rows of the catalogue.
        products: Products of the feed.
        discount: How much less than the price products on sale cost, in per cent; 0 is no sale.
    """
    with feed.open("w", newline="", encoding="utf-8") as file:
        columns = [
            "id",
            "image",
            "product",
            "title",
            "type",
            "colour",
            "price",
            "sale_price",
            "currency",
            "in_stock",
            "link",
        ]
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            if row["product"] not in products:
                continue
            number = int(row["product"].removeprefix("d"))
            is_sale = discount and number % 5 == 0
            writer.writerow(
                row
                | {
                    "sale_price": round(float(row["price"]) * (1 - discount / 100), 2) if is_sale else "",
                    "currency": "EUR",
                    "in_stock": "true" if number % 7 else "false",
                    "link": f"https://shop.example/{row['product']}",
                }
            )
    print(f"{feed}: {sum(row['product'] in products for row in rows)} photos of {len(products)} products")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

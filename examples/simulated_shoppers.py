"""Shoppers who search a running server and click, to try `lookalike learn` with; by the standard library only.

lookalike serve --gallery GALLERY --config usage.toml     # with `events = true` in it
python examples/simulated_shoppers.py http://127.0.0.1:8000 800 3

Each searches by an item of the gallery, as "more like this" does, and looks at the matches from the top: at the match
of rank r with probability 1 / r. What is looked at is clicked if it is wanted, which depends on the cosines by weights
that the shoppers have in mind: the first number is how many shoppers come, the second how much the colour counts for
them, where the rest counts 1. A third number is how much a low price counts. One click in five puts the item into the
cart.
"""

import json
import math
import random
import sys
from urllib.request import Request, urlopen

MATCHES = 12
SHARP = 40.0  # how much a better match is wanted more
LOW = 0.1  # what half the price counts like, in cosines


def post(address: str, body: object) -> dict:
    """Send JSON, and read JSON."""
    request = Request(address, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    with urlopen(request) as answer:
        return json.load(answer)


def wish(match: dict, color: float, price: float) -> float:
    """How well a match fits what a shopper has in mind."""
    alike = (match["scores"]["deep"] + color * match["scores"].get("color", 0.0)) / (1 + color)
    return alike - price * LOW * math.log2(match["attributes"].get("price", 1.0))


def main(server: str, shoppers: str, color: str, price: str = "0") -> None:
    """Let shoppers come, one after the other."""
    chance = random.Random(0)
    with urlopen(f"{server}/v1/items?limit=1000") as answer:
        ids = [item["id"] for item in json.load(answer)["items"]]
    sent, last = 0, []
    for _ in range(int(shoppers)):
        found = post(f"{server}/v1/search", {"id": chance.choice(ids), "k": MATCHES})
        wishes = [wish(match, float(color), float(price)) for match in found["matches"]]
        if not wishes:
            continue
        middle = sorted(wishes)[-min(2, len(wishes))]  # about two are wanted
        events = []
        for match, fit in zip(found["matches"], wishes, strict=True):
            is_looked_at = chance.random() < 1 / match["rank"]
            if is_looked_at and chance.random() < 1 / (1 + math.exp(-SHARP * (fit - middle))):
                event = {"query_id": found["query"]["id"], "id": match["id"]}
                events += [{**event, "type": "click"}]
                events += [{**event, "type": "cart"}] if chance.random() < 0.2 else []
        if events:
            sent, last = sent + post(f"{server}/v1/events", events)["added"], events
    if last:  # sent again: this adds nothing, but the searches since then are written before it is answered
        post(f"{server}/v1/events", last)
    print(f"{shoppers} shoppers, {sent} events")


if __name__ == "__main__":
    main(*sys.argv[1:])

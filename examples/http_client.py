"""Search over HTTP with the standard library only.

lookalike serve --gallery GALLERY
python examples/http_client.py http://127.0.0.1:8000
"""

import json
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen


def ask(address: str, question: dict[str, object] | None = None) -> dict:
    """Request JSON from an address, by POST if there is a body."""
    body = None if question is None else json.dumps(question).encode()
    with urlopen(Request(address, data=body, headers={"Content-Type": "application/json"})) as answer:
        return json.load(answer)


def main(server: str) -> None:
    """Find items similar to the first item, and show an error response."""
    first = ask(f"{server}/v1/items?limit=1")["items"][0]
    answer = ask(f"{server}/v1/search", {"id": first["id"], "k": 3, "weights": {"deep": 1, "color": 0.3}})
    print(f"like {first['id']}:")
    for match in answer["matches"]:
        print(f"{match['rank']}. {match['id']}  score {match['score']:.3f}")
    try:
        ask(f"{server}/v1/search", {"id": first["id"], "where": "price <"})
    except HTTPError as error:
        print(f"status {error.code}: {json.load(error)['error']['code']}")


if __name__ == "__main__":
    main(*sys.argv[1:])

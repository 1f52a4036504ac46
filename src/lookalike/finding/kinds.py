"""Kinds of garments, the words for them in data sets, and the score from which one counts as found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

KINDS: Final = (
    *("top", "outerwear", "dress", "skirt", "trousers", "shorts", "shoes", "bag", "hat"),
    *("glasses", "scarf", "belt", "tie"),
)
"""Kinds in the order of the finder's scores; a pair of shoes is one garment."""

SURE: Final = 0.3
"""Lowest score of a found garment, unless another is asked for."""

WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "top": (
        *("t-shirt", "tshirts", "shirt", "shirts", "tops", "blouse", "polo", "longsleeve", "undershirt", "sweater"),
        *("sweaters", "sweatshirt", "sweatshirts", "hoodie", "cardigan", "vest", "tunics", "innerwear vests"),
        *("camisoles", "kurtis", "bodysuit"),
    ),
    "outerwear": ("jacket", "jackets", "coat", "blazer", "blazers", "cape", "outwear", "rain jacket", "nehru jackets"),
    "dress": ("dresses", "romper", "jumpsuit"),
    "skirt": ("skirts",),
    "trousers": (
        *("pants", "jeans", "leggings", "track pants", "capris", "jeggings", "churidar", "patiala", "lounge pants"),
        *("bottom", "salwar"),
    ),
    "shorts": ("lounge shorts",),
    "shoes": (
        *("shoe", "boots", "clogs", "flats", "heels", "loafers", "pumps", "sandals", "sneakers", "wedges"),
        *("casual shoes", "sports shoes", "formal shoes", "flip flops", "sports sandals"),
    ),
    "bag": (
        *("purse", "handbags", "backpacks", "clutches", "laptop bag", "duffel bag", "messenger bag", "waist pouch"),
        *("rucksacks", "trolley bag"),
    ),
    "hat": ("caps", "headband"),
    "glasses": ("sunglass", "sunglasses"),
    "scarf": ("scarves", "mufflers", "stoles"),
    "belt": ("belts",),
    "tie": ("ties",),
}
"""Unambiguous words for each kind, in lower case, besides the name of the kind itself.

Sources: Yang et al. 2014, Clothing Co-Parsing by Joint Image Segmentation and Labeling (its 59 classes); Jia et al.
2020, Fashionpedia (cardigan and vest are tops, a jumpsuit counts as a dress); article types of catalogues.
"""

NOT_SOUGHT: Final = frozenset(
    {"null", "skin", "hair", "accessories", "bracelet", "earrings", "necklace", "ring", "watch", "gloves", "socks"}
    | {"stockings", "tights", "leg warmer", "umbrella", "accessory"}
)
"""Words for objects outside these kinds. Other words, such as `suit` and `swimwear`, are ambiguous."""

KIND_OF: Final = {word: kind for kind, words in WORDS.items() for word in (kind, *words)}


def kind_of(word: str) -> str | None:
    """Kind for a word of a data set, in any case; None if it stands for no kind or for several."""
    return KIND_OF.get(word.strip().lower())

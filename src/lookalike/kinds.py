"""Kinds and types of garments, and the words for them in data sets: a sweater is a type of the kind top."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

KINDS: Final = (
    *("top", "outerwear", "dress", "skirt", "trousers", "shorts", "shoes", "bag", "hat"),
    *("glasses", "scarf", "belt", "tie"),
)
"""Kinds in the order of the finder's scores; a pair of shoes is one garment."""

EVIDENCE: Final = 6.0
"""Log-likelihood ratio of a kind that is known beside a photo, such as that of a garment that a finder has found.
Chosen on dev photos of people, between 2 and 8; the default model's card has the figures."""

TYPES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "top": {
        "t-shirt": ("tshirts", "lounge tshirts", "polo"),
        "long-sleeve": ("longsleeve",),
        "shirt": ("shirts",),
        "blouse": ("tops", "tunics"),
        "tank top": ("undershirt", "innerwear vests", "camisoles"),
        "sweater": ("sweaters", "cardigan"),
        "sweatshirt": ("sweatshirts", "hoodie"),
        "kurta": ("kurtas", "kurtis"),
        "bodysuit": ("body",),
    },
    "outerwear": {
        "jacket": ("jackets", "outwear", "rain jacket", "cape"),
        "coat": (),
        "blazer": ("blazers", "nehru jackets"),
    },
    "dress": {"dress": ("dresses",), "jumpsuit": ("romper", "rompers")},
    "skirt": {"skirt": ("skirts",)},
    "trousers": {
        "trousers": ("capris",),
        "jeans": ("jeggings",),
        "joggers": ("track pants", "lounge pants"),
        "leggings": ("churidar",),
        "salwar": ("patiala",),
    },
    "shorts": {"shorts": ("lounge shorts",)},
    "shoes": {
        "sneakers": ("casual shoes", "sports shoes"),
        "formal shoes": ("loafers",),
        "heels": ("pumps", "wedges"),
        "flats": (),
        "sandals": ("sports sandals", "flip flops", "clogs"),
        "boots": ("booties",),
    },
    "bag": {"handbag": ("handbags", "purse"), "backpack": ("backpacks", "rucksacks"), "clutch": ("clutches",)},
    "hat": {"hat": ("caps", "headband")},
    "glasses": {"sunglasses": ("sunglass",)},
    "scarf": {"scarf": ("scarves", "mufflers", "stoles")},
    "belt": {"belt": ("belts",)},
    "tie": {"tie": ("ties",)},
}
"""Types of each kind with the words that stand for them, in lower case, besides the name of the type itself."""

GENERAL: Final[Mapping[str, tuple[str, ...]]] = {
    "top": ("vest",),
    "outerwear": (),
    "trousers": ("pants", "bottom"),
    "shoes": ("shoe",),
    "bag": ("laptop bag", "duffel bag", "messenger bag", "waist pouch", "trolley bag"),
    "glasses": (),
}
"""Words for a kind, besides its own name, that leave its type open.

Sources of all words: Yang et al. 2014, Clothing Co-Parsing by Joint Image Segmentation and Labeling (its 59 classes);
Jia et al. 2020, Fashionpedia (cardigan and vest are tops, a jumpsuit counts as a dress); article types of catalogues.
"""

NOT_SOUGHT: Final = frozenset(
    {"null", "skin", "hair", "accessories", "bracelet", "earrings", "necklace", "ring", "watch", "gloves", "socks"}
    | {"stockings", "tights", "leg warmer", "umbrella", "accessory"}
)
"""Words for objects outside these kinds. Other words, such as `suit` and `swimwear`, are ambiguous."""

TYPE_OF: Final = {word: name for types in TYPES.values() for name, words in types.items() for word in (name, *words)}
KIND_OF: Final = {word: kind for kind, types in TYPES.items() for word in TYPE_OF if TYPE_OF[word] in types} | {
    word: kind for kind, words in GENERAL.items() for word in (kind, *words)
}


def kind_of(word: str) -> str | None:
    """Kind for a word of a data set, in any case; None if it stands for no kind or for several."""
    return KIND_OF.get(word.strip().lower())


def type_of(word: str) -> str | None:
    """Type for a word of a data set, in any case; None if it stands for no type or for several."""
    return TYPE_OF.get(word.strip().lower())

"""Settings of the page: whose it is, how it looks, and which columns of the catalogue it shows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from lookalike.errors import ConfigError
from lookalike.server.page_colors import Colors, Palette, palette
from lookalike.server.shared_photos import Sharing

CURRENCY: Final = re.compile(r"[A-Z]{3}")
LONGEST_NAME: Final = 60
LANGUAGES: Final = ("en", "de", "fr", "es", "hi")
"""Languages that the page has texts in; the first is for browsers that ask for none of them."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of the catalogue on the page, by the names of their attributes.

    Attributes:
        title: Name of an item; by default `title`, `name` or `productDisplayName`, in any case.
        price: Price: a number, or a text such as `19.99 EUR`.
        sale_price: Lower price of an item on sale.
        currency: Currency of an item's prices, such as `EUR`; items without one have the `currency` of `[page]`.
        link: Address of the page where an item can be bought, with http or https; cards open it in a new tab.
        in_stock: Whether an item can be bought: true or false, the number of pieces, or `in stock`, `out of stock`.
        card: Attributes below the price on a card; without any, the first few short ones.
        details: Attributes in the details of an item, `product` and `id` among them; without any, all.
        filters: Attributes that filter the results, in their order; without any, all that divide the items.
        hidden: Attributes that the page never shows, `product` and `id` among them. The HTTP API still tells them.
    """

    title: str = ""
    price: str = "price"
    sale_price: str = "sale_price"
    currency: str = "currency"
    link: str = "link"
    in_stock: str = "in_stock"
    card: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PageSettings:
    """The page of one shop.

    Attributes:
        name: Name of the shop, for the top of the page and its title.
        logo: Picture beside the name, or in its place: a file of at most 256 KiB, PNG, JPEG, WebP, AVIF, GIF or SVG.
        icon: Picture in the browser's tab, such a file too.
        show_name: Whether the name is written beside the logo.
        language: Language of the texts: `en`, `de`, `fr`, `es` or `hi`; `auto` is the first of them that the browser
            asks for, or that of `?lang=fr` in the address.
        currency: Currency of prices whose item names none, such as `EUR` (ISO 4217); without one, prices are numbers.
        scheme: `light` or `dark`; `auto` is as the browser asks for.
        scores: Whether cards show the score of each match.
        group: What a card is: a `product` with its variants, or each `photo` by itself.
        labels: Names of attributes by language, such as `[page.labels.fr]` with `brand = "Marque"`; a table `any` is
            for all languages.
    """

    name: str = "Lookalike"
    logo: str = ""
    icon: str = ""
    show_name: bool = True
    language: Literal["auto", "en", "de", "fr", "es", "hi"] = "auto"
    currency: str = ""
    scheme: Literal["auto", "light", "dark"] = "auto"
    scores: bool = True
    group: Literal["product", "photo"] = "product"
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    columns: Columns = field(default_factory=Columns)
    sharing: Sharing = field(default_factory=Sharing)
    light: Colors = field(default_factory=Colors)
    dark: Colors = field(default_factory=Colors)

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > LONGEST_NAME or not self.name.isprintable():
            raise ConfigError(f"name of [page] must be 1 to {LONGEST_NAME} letters on one line, got {self.name!r:.80}")
        if not self.show_name and not self.logo:
            raise ConfigError("show_name of [page] is false and there is no logo; the page needs one of them")
        check_currency(self.currency)
        for language in self.labels:
            if language not in (*LANGUAGES, "any"):
                raise ConfigError(f"[page.labels.{language:.20}]: expected any, {', '.join(LANGUAGES)}")
        _ = self.palettes  # which checks the contrast

    @property
    def palettes(self) -> dict[str, Palette]:
        """Colours of each scheme that the page has.

        Raises:
            ConfigError: Texts cannot be read on a background.
        """
        schemes = ("light", "dark") if self.scheme == "auto" else (self.scheme,)
        return {
            scheme: palette(scheme, self.light if scheme == "light" else self.dark, light_accent=self.light.accent)
            for scheme in schemes
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the operator should know of the settings."""
        return tuple(warning for complete in self.palettes.values() for warning in complete.warnings)

    def to_json(self) -> dict[str, Any]:
        """What the page is told."""
        return {
            "name": self.name,
            "currency": self.currency or None,
            "scores": self.scores,
            "group": self.group,
            "sharing_hours": self.sharing.hours if self.sharing.folder else None,
            "labels": {language: dict(names) for language, names in self.labels.items()},
            "columns": asdict(self.columns),
        }


def check_currency(currency: str) -> None:
    """Check a currency.

    Raises:
        ConfigError: It is not three capital letters.
    """
    if currency and not CURRENCY.fullmatch(currency):
        raise ConfigError(f"currency must be a code of ISO 4217 such as EUR, in capitals, got {currency!r:.40}")

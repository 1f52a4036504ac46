"""Search request: one checked value that the command line, HTTP and Python build, and that galleries answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, get_type_hints

from lookalike.errors import UsageError
from lookalike.gallery.garment_option import checked_garment
from lookalike.gallery.ranking_choice import RANKINGS, check_ranking
from lookalike.gallery.refinement_option import LARGEST_ALPHA, MOST_REFINED, check_parameters
from lookalike.gallery.request_checks import PRODUCT, check_choice, check_group, check_number, check_share, whole_number
from lookalike.gallery.request_option import Option
from lookalike.gallery.sort_keys import check_boost, check_sort
from lookalike.index import INDEXES, checked_metric
from lookalike.spaces import Space, resolve_names, resolve_weights
from lookalike.types import Box

PAGED_DEPTH: Final = 2000
"""Depth of a paged search: every page is cut from the same list of this many matches."""

INDEX_NAMES: Final = ("auto", *INDEXES)
"""Values of `SearchRequest.index`."""

HYBRID: Final = "hybrid"
"""Value of `SearchRequest.text_search`: what the words mean and their letters, fused."""

VISUAL: Final = "visual"
"""Value of `SearchRequest.text_search`: what the words mean, compared with the photos."""

FULL_TEXT: Final = "full_text"
"""Value of `SearchRequest.text_search`: the letters of the words, looked up in texts of the items."""

AUTO_KIND: Final = "auto"
"""Value of `SearchRequest.same_kind`: the kind that a photo probably shows, where it and those of items can be told."""

LONGEST_TEXT: Final = 256
"""Longest text of a search, in characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """Options of one search, checked on construction; the query vectors are passed beside them.

    A gallery uses `k`, `weights`, `where`, `metrics`, `index` and `probes`; the retriever handles page, box,
    refinement and relevance. `Retriever.search` and `Gallery.search` document the options.

    Raises:
        UsageError: A number is out of range, or two options exclude each other.
        UnknownNameError: There is no such index or metric.
    """

    k: Annotated[int, Option("Number of matches.", least=1, most_served=1000)] = 10
    offset: Annotated[
        int | None,
        Option(
            "Number of best matches to leave out. Pages fit together if each one, the first with 0, gives its offset.",
            least=0,
            most_served=1000,
        ),
    ] = None
    weights: Annotated[
        Mapping[str, float] | None,
        Option("Weights by space; spaces without one have weight 0.", examples=({"deep": 1, "color": 0.3},)),
    ] = None
    where: Annotated[str | None, Option("Filter that the matches pass.")] = None
    index: Annotated[str, Option(choices=INDEX_NAMES)] = "auto"
    probes: Annotated[
        int | None, Option("Number of lists that kmeans or ivf look into.", least=1, most_served=100_000)
    ] = None
    expand: Annotated[
        int,
        Option(
            "Query expansion: number of nearest items to add to the query for a second search. Not with metrics.",
            least=0,
            most=MOST_REFINED,
        ),
    ] = 0
    alpha: Annotated[
        float | None,
        Option(
            "Exponent of the scores that `expand` weighs items by; 0 is their plain mean, and 3 if it is not given."
        ),
    ] = None
    rerank: Annotated[
        int,
        Option(
            "Re-ranking: number of best matches to sort by shared neighbours. Not with metrics.",
            least=0,
            most=MOST_REFINED,
        ),
    ] = 0
    k1: Annotated[
        int | None, Option("Size of a neighbourhood in `rerank`; 10 if it is not given.", least=1, most=MOST_REFINED)
    ] = None
    k2: Annotated[
        int | None,
        Option(
            "Number of photos whose neighbourhoods `rerank` averages; 3 if it is not given.",
            least=1,
            most=MOST_REFINED,
        ),
    ] = None
    trust: Annotated[
        float | None,
        Option("Share of the similarity itself in `rerank`, from 0 to 1, its paper's lambda; 0.9 if it is not given."),
    ] = None
    metrics: Annotated[
        Mapping[str, str] | None,
        Option("Metric of SciPy's cdist by space, such as cityblock. Only with a single photo or item."),
    ] = None
    min_relevance: Annotated[
        float | None,
        Option(
            "Least relevance of a match, from 0 to 1; others are left out. Needs a calibrated model, and one photo or "
            "item.",
            examples=(0.5,),
        ),
    ] = None
    same_kind: Annotated[
        bool | str,
        Option(
            "Whether to search only among items of the kind that the photo shows, or the item is of, by the attribute "
            "`kind`. Only with one photo or item. `auto` does so where one photo without words probably shows a kind, "
            "keeps items without a kind, and searches all where that cannot be told."
        ),
    ] = False
    group: Annotated[
        str | None,
        Option(
            "`product` finds k products, each with its best photo as the match and its other photos as `variants`; an "
            "item without a product is one by itself. The products of the query items are left out.",
            choices=(PRODUCT,),
        ),
    ] = None
    diversity: Annotated[
        float,
        Option(
            "How different the relevant matches are to be from each other, from 0 to 1: maximal marginal relevance.",
            examples=(0.3,),
        ),
    ] = 0.0
    sort: Annotated[
        str | None,
        Option(
            "Attributes that the relevant matches are sorted by, the most important first, such as `price` or "
            "`-in_stock,price`; with `-` the largest value comes first. Missing values are last. Not with `boost` or "
            "`diversity`.",
        ),
    ] = None
    boost: Annotated[
        Mapping[str, float] | None,
        Option(
            "Weights by attribute, or by attribute and value, such as `brand:Acme`: what the rank of a relevant match "
            "gains by them. 1 is as much as lies between the most and the least similar relevant match.",
            examples=({"price": -0.2, "season:Summer": 0.1},),
        ),
    ] = None
    ranking: Annotated[
        str,
        Option(
            "Order of the matches: `similarity`, `learned` (what `lookalike learn` has learned from use) or `auto`.",
            choices=RANKINGS,
        ),
    ] = "auto"
    facets: Annotated[
        bool, Option("Whether the answer counts the values of each attribute among the relevant matches.")
    ] = False
    text: Annotated[
        str | None,
        Option(
            "Words of a search, such as `red floral dress`; beside a photo or an item, what is to be different, such "
            "as `but red`."
        ),
    ] = None
    text_weight: Annotated[
        float | None,
        Option(
            "Weight of the words beside a photo or an item, from 0 (the photo alone) to 1 (the words alone); 0.5 if it "
            "is not given."
        ),
    ] = None
    text_search: Annotated[
        str,
        Option(
            "How the words are searched: `visual` is what they mean, `full_text` their letters in the texts of the "
            "items, and `hybrid` both, fused.",
            choices=(HYBRID, VISUAL, FULL_TEXT),
        ),
    ] = HYBRID
    explain: Annotated[bool, Option("Whether the first 20 matches get an `explanation`. For one photo or item.")] = (
        False
    )
    box: Annotated[
        Box | None,
        Option(
            "Part of the photo to search with: x1,y1,x2,y2 in pixels of the upright photo at its full size, such as "
            "40,60,220,330. Only with a single photo.",
            of_photo=True,
        ),
    ] = None
    garment: Annotated[
        str | int | None,
        Option(
            "Garment of the photo to search with, as a finder finds it: `auto` is the most prominent of several (of "
            "one alone, the whole photo) with a score of 0.3 or more, `whole` the whole photo, a kind such as `dress` "
            "the most prominent one of that kind, or a weak one where none is listed, and a number such as `2` the "
            "second of those that `/v1/garments` lists. Only with a single photo.",
            examples=("auto", "dress", "2"),
            of_photo=True,
        ),
    ] = None

    def __post_init__(self) -> None:
        self._check_types()
        if self.garment is not None:
            object.__setattr__(self, "garment", checked_garment(self.garment, box=self.box))
        if self.refines and self.metrics:
            raise UsageError("expand and rerank use the cosine; leave the metrics out")
        check_parameters(self)
        self._check_text()
        check_sort(self.sort)
        check_boost(self.boost)
        check_ranking(self.ranking, self)
        if self.sort is not None and (self.boost or self.diversity):
            raise UsageError("sort alone decides the order of the relevant matches; leave boost and diversity out")
        if self.offset is not None and self.k >= 1 and not 0 <= self.offset <= PAGED_DEPTH - self.k:
            raise UsageError(
                f"offset and k must be at least 0 and at most {PAGED_DEPTH:,} together, got {self.offset} and {self.k}"
            )
        for name, least, most in _RANGES:
            number = getattr(self, name)
            if number is not None and (number < least or (most is not None and number > most)):
                wanted = f"at least {least}" if most is None else f"between {least} and {most:,}"
                raise UsageError(f"{name} must be {wanted}, got {number}")
        if self.metrics:
            if self.index not in ("auto", "exact"):
                raise UsageError(f"metrics need the exact scan; the index {self.index!r} serves the cosine only")
            for metric in self.metrics.values():
                checked_metric(metric)

    def _check_types(self) -> None:
        """Check what a caller without a type checker may confuse; make numbers of other libraries ints.

        Raises:
            UnknownNameError: There is no such choice.
            UsageError: A value has another type.
        """
        for name, _, _ in _RANGES:
            if (number := getattr(self, name)) is not None:
                object.__setattr__(self, name, whole_number(name, number))
        check_group(self.group)
        for name in ("index", "text_search", "ranking"):
            check_choice(name, getattr(self, name), OPTIONS[name].choices)
        if not isinstance(self.same_kind, bool) and self.same_kind != AUTO_KIND:
            raise UsageError(f"same_kind must be true, false or {AUTO_KIND!r}, got {self.same_kind!r:.200}")
        for name in ("min_relevance", "text_weight", "diversity", "trust"):
            check_share(name, getattr(self, name))
        check_number("alpha", self.alpha, least=0, most=LARGEST_ALPHA)
        if self.box is not None and not isinstance(self.box, Box):
            raise UsageError(f"box must be a Box such as Box(20, 20, 200, 280), got {self.box!r:.200}")
        if self.where is not None and not isinstance(self.where, str):
            raise UsageError(f"where must be a filter such as 'price < 80', got {self.where!r:.200}")
        if self.metrics is not None and not (
            isinstance(self.metrics, Mapping) and all(isinstance(metric, str) for metric in self.metrics.values())
        ):
            raise UsageError(f"metrics must be a dict such as {{'deep': 'euclidean'}}, got {self.metrics!r:.200}")

    def _check_text(self) -> None:
        """Check the words and what goes with them.

        Raises:
            UsageError: They are empty or too long, or an option does not go with them.
        """
        if self.text is None:
            if self.text_weight is not None or self.text_search != HYBRID:
                raise UsageError("text_weight and text_search belong to the words of a search; give text as well")
            return
        if self.text_weight is not None and self.text_search == FULL_TEXT:
            raise UsageError("text_weight weighs what words mean, and full_text looks them up; leave one of them out")
        if not isinstance(self.text, str) or not self.text.strip():
            raise UsageError(f"text must be words such as 'red floral dress', got {self.text!r:.200}")
        if len(self.text) > LONGEST_TEXT:
            raise UsageError(f"text must have at most {LONGEST_TEXT} characters, got {len(self.text):,}")
        for name in ("metrics", "min_relevance", "expand", "rerank"):
            if getattr(self, name):
                raise UsageError(f"{name} is for searches by photos and items alone; leave it out, or the text")

    @property
    def arranges(self) -> bool:
        """Whether the relevant matches are sorted, boosted, diverse or counted."""
        return self.sort is not None or bool(self.boost or self.diversity or self.facets)

    @property
    def refines(self) -> bool:
        """Whether the first answer is refined, by expansion or re-ranking."""
        return bool(self.expand or self.rerank)

    def resolved(self, spaces: tuple[Space, ...], *, stored: Mapping[str, float] | None) -> ResolvedRequest:
        """Resolve the request for a gallery: a weight for every space, and metrics by full names of spaces.

        Args:
            spaces: Spaces of the gallery.
            stored: Weights stored in the gallery; see `resolve_weights`.

        Raises:
            UnknownNameError: A weight or metric names an unknown space.
            UsageError: A weight is negative or not finite, none is above 0, or a space is named twice.
        """
        if isinstance(self, ResolvedRequest) and self.spaces == spaces:
            return self
        given: dict[str, Any] = {name: getattr(self, name) for name in OPTIONS}
        given["weights"] = resolve_weights(self.weights, spaces, stored=stored)
        given["metrics"] = resolve_names(self.metrics or {}, spaces)
        return ResolvedRequest(**given, spaces=spaces)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedRequest(SearchRequest):
    """Request resolved for the spaces of one gallery, by `SearchRequest.resolved`.

    Attributes:
        weights: Weight of each space.
        metrics: Metrics by the spaces' full names; empty scores by cosines.
        spaces: Spaces of the gallery.
    """

    weights: Mapping[str, float]
    metrics: Mapping[str, str] = field(default_factory=dict)
    spaces: tuple[Space, ...]

    def __post_init__(self) -> None:
        """Skip the checks of the original request."""


OPTIONS: Final[Mapping[str, Option]] = {
    name: hint.__metadata__[0] for name, hint in get_type_hints(SearchRequest, include_extras=True).items()
}
"""Description of each field of a request, in the order of the OpenAPI document."""

_RANGES: Final = [(name, option.least, option.most) for name, option in OPTIONS.items() if option.least is not None]

"""Retriever: a gallery with the embedder of its query photos."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING

from lookalike.answers import Answer
from lookalike.embedding.labels import labels_of
from lookalike.errors import UsageError
from lookalike.gallery.request import FULL_TEXT, HYBRID, SearchRequest
from lookalike.gallery.request_checks import check_least
from lookalike.retrieval.examples import Examples
from lookalike.retrieval.explanation import Explainer, explainable
from lookalike.retrieval.garment_choice import Part, needs_finder, part_of_photo
from lookalike.retrieval.learned_order import learned_order
from lookalike.retrieval.relevance import check_calibrated, relevance_of
from lookalike.retrieval.resources import Resources
from lookalike.retrieval.results import query_of, search_gallery
from lookalike.retrieval.same_kind import restrict_kind
from lookalike.retrieval.text_query import TextQuery, check_photo_model, echo_of, text_query, weighted_for
from lookalike.types import Box, Float32

if TYPE_CHECKING:
    from lookalike.embedding.labels import PhotoLabels
    from lookalike.embedding.protocol import Embeddings
    from lookalike.gallery.request import ResolvedRequest
    from lookalike.images import Source
    from lookalike.ingest.report import IndexReport


class Retriever(Resources):
    """Searches and fills a gallery; created by `lookalike.open`."""

    def search(
        self,
        photo: Source | Sequence[Source] | None = None,
        *,
        item: str | Sequence[str] | None = None,
        unlike: Source | Sequence[Source] | None = None,
        unlike_item: str | Sequence[str] | None = None,
        k: int = 10,
        offset: int | None = None,
        weights: Mapping[str, float] | None = None,
        where: str | None = None,
        box: Box | None = None,
        garment: str | int | None = None,
        metrics: Mapping[str, str] | None = None,
        index: str = "auto",
        probes: int | None = None,
        expand: int = 0,
        alpha: float | None = None,
        rerank: int = 0,
        k1: int | None = None,
        k2: int | None = None,
        trust: float | None = None,
        min_relevance: float | None = None,
        same_kind: bool | str = False,
        group: str | None = None,
        diversity: float = 0.0,
        sort: str | None = None,
        boost: Mapping[str, float] | None = None,
        ranking: str = "auto",
        facets: bool = False,
        explain: bool = False,
        text: str | None = None,
        text_weight: float | None = None,
        text_search: str = HYBRID,
    ) -> Answer:
        """Find items that look like a photo, an item of the gallery, several of these, or what words describe.

        The query items are left out of the answer.

        Args:
            photo: A path, a URL, bytes, a file open in binary mode, a Pillow image, or an array (H, W, 3) of uint8 RGB;
                or a list of these, whose mean is the query.
            item: Id of an item, or several, instead of photos or beside them; the query uses their stored vectors.
            unlike: A photo to look less like, or several.
            unlike_item: Id of an item to look less like, or several.
            k: Number of matches, at least 1; fewer are found if fewer items pass the filter.
            offset: Number of best matches to leave out; pages fit together if each one gives it, the first with 0.
            weights: Weights by space, 0 for others; None takes the stored weights of the gallery, or else the defaults.
            where: Filter on the items' attributes, such as `price < 80 and season = 'Summer'`.
            box: Part of the photo to search with.
            garment: Garment to search with: `auto` (the most prominent of several), `whole` (the whole photo), a kind
                such as `dress`, which may be a weak one, or the number of a listed one; None is
                `lookalike.gallery.garment_option.DEFAULT_GARMENT`.
            metrics: Metric of SciPy's cdist by space; the score is then minus the weighted sum of the distances.
            index: `auto`, `exact`, `kmeans`, `ivf` or `hnsw`.
            probes: Number of lists that `kmeans` or `ivf` look into.
            expand: Number of nearest items to add to the query before a second search; 0 is none.
            alpha: Exponent of the scores that `expand` weighs items by, from 0 (the plain mean) to 1,000; None is 3.
            rerank: Number of best matches to sort by shared neighbours; 0 is none. Scores remain those of the query.
            k1: Size of a neighbourhood in `rerank`, from 1 to 1,000; None is 10.
            k2: Number of photos whose neighbourhoods `rerank` averages, from 1 to 1,000; None is 3.
            trust: Share of the similarity itself in `rerank`, from 0 to 1, its paper's lambda; None is 0.9.
            min_relevance: Least relevance of a match, from 0 to 1; others are left out. Needs a calibrated model.
            same_kind: Whether to search only among items of the kind that the photo shows, or the item is of, by the
                attribute `kind`. `auto` does so for one photo without words that probably shows a kind, keeps items
                without a kind, and searches all where that cannot be told.
            group: `product` finds k products, each with its best photo as the match and its other photos as
                `Match.variants`; the products of the query items are left out. None finds photos.
            diversity: How different the relevant matches are to be from each other, from 0 to 1.
            sort: Attributes to sort the relevant matches by, such as `price` or `-in_stock,price`; `-` is descending.
            boost: Weights by attribute, or attribute and value (`brand:Acme`), that relevant matches gain by, as
                fractions of what lies between the most and the least similar one.
            ranking: `similarity`, `learned` (by what `lookalike learn` has learned, see docs/usage.md), or `auto`.
            facets: Whether the answer counts the values of attributes among the relevant matches.
            explain: Whether the first 20 matches say which regions of their photo and of the query agree most, as
                `Match.explanation`: for a single photo or item. Their photos are read and embedded for it.
            text: Words, such as `red floral dress`; beside a photo or an item what is to be different, such as `but
                red`.
            text_weight: Weight of the words beside a photo or an item, from 0 to 1; None is 0.5.
            text_search: `visual` (what the words mean), `full_text` (their letters in the texts of the items), or
                `hybrid` (both, fused).

        Raises:
            UsageError: An option is invalid, or options exclude each other; subclasses are in `lookalike.errors`.
            NoGarmentError: The photo shows no garment of that kind or number.
            MismatchError: The gallery was filled by another model.
        """
        examples = Examples.of(photo, item, unlike, unlike_item, text=text)
        request = SearchRequest(
            k=k,
            offset=offset,
            weights=weights,
            where=where,
            index=index,
            probes=probes,
            expand=expand,
            alpha=alpha,
            rerank=rerank,
            k1=k1,
            k2=k2,
            trust=trust,
            min_relevance=min_relevance,
            same_kind=same_kind,
            group=group,
            diversity=diversity,
            sort=sort,
            boost=boost,
            ranking=ranking,
            facets=facets,
            explain=explain,
            metrics=metrics,
            box=box,
            garment=garment,
            text=text,
            text_weight=text_weight,
            text_search=text_search,
        )
        return self.answer(examples, request)

    def answer(self, examples: Examples, request: SearchRequest, *, remote: bool = True) -> Answer:
        """Answer a request; `search` builds the first two arguments from plain values.

        Args:
            examples: Photos and items of the query.
            request: Options.
            remote: Whether photos in stores and on the web are read, to explain their matches.

        Raises:
            UsageError: The request does not fit the examples or the gallery.
            MismatchError: The gallery was filled by another model.
        """
        examples.check(request)
        with self.loading_finder(wanted=needs_finder(examples, request)) as finder:
            gallery = self.gallery
            if not (spaces := gallery.spaces):
                raise UsageError(f"{self._address} is empty; fill it with `lookalike index`")
            stored = gallery.stored_weights
            resolved = request.resolved(spaces, stored=stored.weights)
            examples = explainable(examples, limits=self.limits) if request.explain else examples
            with self.loading_embedder(resolved, wanted=bool(examples.photos)):
                part = part_of_photo(examples, request, finder, limits=self.limits)
        took = {"decode": 0.0, "embed": 0.0, **part.took}
        embedded = part.examples.embedded(lambda photos: self._embed(photos, part, took), gallery.vectors)
        labels = labels_of(embedded.labels, self.embedder.labels) if embedded.labels else None
        resolved, kind = restrict_kind(resolved, examples, gallery, labels=labels, part=part)
        vectors: Mapping[str, Float32] = embedded.vectors
        text = None
        if request.text is not None:
            text = self._text_query(resolved, vectors, labels, took, weighted=request.weights is not None)
            vectors, resolved = text.vectors, weighted_for(resolved, text.vectors)
        relevance = None if text else relevance_of(examples, resolved, labels, lambda: self.calibration_for(spaces))
        check_calibrated(relevance, resolved)
        shown = None if labels is None else labels.shown
        learned = learned_order(stored.ranking, request, gallery, examples, labels=shown)
        started = perf_counter()
        found = search_gallery(gallery, vectors, resolved, examples, relevance, text, learned)
        took["search"] = (perf_counter() - started) * 1000
        if found.neighbours.version is not None:  # a back end without versions keeps its spaces
            self._check_spaces(spaces)
        query = query_of(
            examples,
            request,
            resolved,
            index=found.neighbours.index,
            garment=part.choice,
            labels=labels,
            kind=kind,
            text=None if text is None else echo_of(text, found.full_text),
            relevant=found.relevant,
            learned=learned,
        )
        read_photo = self._photo_readers.of(gallery, version=found.neighbours.version)
        matches = found.matches
        if request.explain:
            self.check_model(asking=True)
            started = perf_counter()
            explainer = Explainer(self.embedder, read_photo, limits=self.limits, remote=remote)
            matches = explainer.explained(matches, explainer.of_query(part, gallery))
            took["explain"] = (perf_counter() - started) * 1000
        return Answer(
            query,
            took,
            matches,
            read_photo,
            no_good_match=found.no_good_match,
            facets=found.facets,
            vectors=vectors,
        )

    def _text_query(
        self,
        request: ResolvedRequest,
        photo: Mapping[str, Float32],
        labels: PhotoLabels | None,
        took: dict[str, float],
        *,
        weighted: bool,
    ) -> TextQuery:
        """Read the words of a request, beside a photo or alone, and time it."""
        encoder = None if request.text_search == FULL_TEXT else self.text_encoder
        if encoder is not None:
            check_photo_model(encoder, request.spaces)
        started = perf_counter()
        query = text_query(request, photo, labels=labels, encoder=encoder, weighted=weighted)
        took["read"] = (perf_counter() - started) * 1000
        return query

    def index(
        self,
        source: str | os.PathLike[str],
        *,
        source_name: str | None = None,
        columns: Mapping[str, str] | None = None,
        encoding: str | None = None,
        exclude: Sequence[str] = (),
        boxes: bool | float | None = None,
        photos: str | None = None,
        garments: bool = False,
        batch: int | None = None,
        workers: int | None = None,
        prune: bool = False,
        prune_limit: float | None = None,
        discard_overrides: bool = False,
        strict: bool = False,
        progress: Callable[[IndexReport, int], None] | None = None,
        ray: str | None = None,
        shards: str | None = None,
    ) -> IndexReport:
        """Update the gallery from a catalogue; photos that have not changed are not read again.

        Photos that cannot be read are skipped; they are listed in the report, and in `skipped.csv` in the gallery.

        Args:
            source: Folder, CSV or Parquet table, or feed of a shop, local or in a store (`s3://...`), `drawn`, or `-`
                for paths on standard input.
            source_name: Name under which later runs update and prune what this one brings, whatever their files are
                called, such as `shop`; None is the path or URL of `source`. Items that other sources brought under the
                same ids belong to this one afterwards, see `IndexReport.replaced_from`.
            columns: Column names of a table by the expected names, such as `{"image": "file"}`.
            encoding: Encoding of a CSV table that is not UTF-8, such as `cp1252`.
            exclude: Globs of files and folders of a folder to leave out, such as `["*.psd", "returns/**"]`.
            boxes: True crops photos to their boxes, False uses whole photos, and a number such as 0.1 crops to the
                box and that part of its sides around it; None is True, or what the papers of a benchmark do.
            photos: Folder of DeepFashion's photos, `img` or `img_highres`; None takes the first that is there.
            garments: Find the garments of photos without a box, and embed each by itself; a search then finds the item
                by any of them. A photo without garments is embedded whole.
            batch: Batch size of the network.
            workers: Number of threads that read, decode and embed; with 4 or more, processes read and decode.
            prune: Remove items of earlier runs of this source that are no longer in it; unreachable ones stay.
            prune_limit: With `prune`: the largest share of the items of the source that is removed, from 0 to 1; None
                is 0.2. A few items, up to 5, are removed whatever their share, unless they are all.
            discard_overrides: Drop values set by hand of attributes that the source brings for an item; others stay.
            strict: Stop at the first photo that cannot be read, instead of skipping it.
            progress: Called from time to time with the report so far and the number of photos in the catalogue.
            ray: Address of a Ray cluster that embeds the photos; `auto` uses or starts one on this machine.
            shards: Folder or URL that all machines of the Ray cluster can reach, for results not yet in the gallery.

        Raises:
            CatalogueError: The source cannot be read.
            PruneLimitError: More items have vanished than may be removed. None was; all else was written, and its
                `report` tells what.
            MismatchError: The gallery was filled by another model.
            NoFinderError: Garments are to be found, and there is no finder.
            PhotoError: With `strict`, a photo cannot be read.
            GalleryLockedError: Another process is writing to the gallery.
        """
        from lookalike.catalogue.opening import open_catalogue
        from lookalike.finding.catalogue_finder import CatalogueFinder
        from lookalike.retrieval.indexing import check_source_name, checked_prune_limit, index_into

        check_least(1, batch=batch, workers=workers)
        check_source_name(source_name)
        limit = checked_prune_limit(prune_limit, prune=prune)
        if shards is not None and ray is None:
            raise UsageError("shards are for a Ray cluster; name one with ray")
        # Everything that can fail by the caller's mistake comes before the gallery is created.
        catalogue = open_catalogue(
            os.fspath(source), columns=columns, encoding=encoding, exclude=exclude, boxes=boxes, photos=photos
        )
        embedder, finder = self._loaded_embedder(many=True), CatalogueFinder(self.finder) if garments else None
        with self._created_if_missing() as gallery:
            self.check_model(embedder)
            report = index_into(
                gallery,
                catalogue,
                embedder,
                model=self._embedder,
                source_name=source_name,
                finder=finder,
                batch=batch,
                workers=workers,
                prune=prune,
                prune_limit=limit,
                discard_overrides=discard_overrides,
                strict=strict,
                progress=progress,
                ray=ray,
                shards=shards,
            )
        gallery.optimise()
        report.check_vanished(catalogue.source if source_name is None else source_name)
        return report

    def _embed(self, photos: Sequence[Source], part: Part, took: dict[str, float]) -> Embeddings:
        """Embed query photos after `check_model`."""
        from lookalike.embedding.queries import embed_queries
        from lookalike.images import DEFAULT_LIMITS

        self.check_model(asking=True)
        limits, box = self.limits or DEFAULT_LIMITS, part.box
        kind = None if part.garment is None else part.garment.kind
        embedded, decoding, embedding = embed_queries(self.embedder, photos, box=box, kind=kind, limits=limits)
        took.update(decode=decoding * 1000, embed=embedding * 1000)
        return embedded

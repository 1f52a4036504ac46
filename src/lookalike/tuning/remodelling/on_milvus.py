"""A new model for a gallery on Milvus, without downtime.

The vectors of the other model are made in a collection of their own, which a switch puts in place by one change of
properties, see `lookalike.gallery.milvus.vector_replacement`. For its last seconds, while what was written since is
brought up to date, writes are refused as those of a locked gallery.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

from lookalike.embedding.compatibility import model_ids_of
from lookalike.embedding.model_choice import ModelFile
from lookalike.errors import GalleryLockedError, UsageError
from lookalike.gallery.milvus import vector_replacement as replacement
from lookalike.gallery.milvus.address import parse, with_setting
from lookalike.gallery.milvus.gallery import MilvusGallery
from lookalike.tuning.remodelling.staging import Progress, Staging, embedder_of, last_stage, stage
from lookalike.tuning.remodelling.state import (
    KEPT,
    STAGED,
    AsideVectors,
    Models,
    Remodelling,
    check_same_model,
    no_vectors,
    state_of,
)


def remodel(address: str, model: Models, *, runtime: str, device: str, progress: Progress | None) -> Remodelling:
    """Embed all photos of a gallery with another model, aside; see `remodel.remodel`."""
    with MilvusGallery(parse(address)) as shop:
        choice = ModelFile(model, runtime, device)
        embedder = choice.load(None, gallery=address)
        if not shop.spaces:
            raise UsageError(f"{address} is empty; index into it with --model {model}")
        if tuple(embedder.spaces) == shop.spaces:
            raise UsageError(f"{address} has the vectors of {embedder.fingerprint} already")
        check_kept(shop, KEPT)
        with MilvusGallery(parse(place(shop, STAGED)), create=True) as staged:
            replacement.use_new_collection(staged)
            if staged.spaces and staged.spaces != tuple(embedder.spaces):
                raise UsageError(
                    f"vectors of {' and '.join(model_ids_of(staged.spaces))} are staged at {staged.address.text}; "
                    "delete them first: lookalike gallery remodel --drop"
                )
            staged.remember_model(choice.address(None))
            done = stage(shop, staged, embedder, progress=progress)
            replacement.take_records(shop, staged)
            staged.optimise()
        return present_state(shop, done)


def remodelling_state(address: str) -> Remodelling:
    """State of a gallery that gets another model, or has got one."""
    with MilvusGallery(parse(address)) as shop:
        return present_state(shop, Staging(0, 0, {}))


def switch(address: str, *, back: bool, runtime: str, device: str, progress: Progress | None) -> Remodelling:
    """Put the staged vectors in place, and keep the present ones; see `remodel.switch`."""
    source, keep = (KEPT, STAGED) if back else (STAGED, KEPT)
    up_to_date = with_setting(address, "consistency", "strong")  # what was written just now belongs to the new vectors
    with MilvusGallery(parse(up_to_date)) as shop:
        there, kept = place(shop, source), place(shop, keep)
        if not replacement.exists(shop, there):
            raise no_vectors(address, back=back)
        done = Staging(0, 0, {})
        with MilvusGallery(parse(there)) as staged:
            if replacement.collection_of(staged) != replacement.collection_of(shop):
                check_kept(shop, keep)
                embedder = embedder_of(staged, there, runtime=runtime, device=device)
                done = stage(shop, staged, embedder, progress=progress)
                with closed(shop) as began:
                    done = last_stage(shop, staged, embedder, before=done)
                    replacement.take_records(shop, staged)
                    if replacement.exists(shop, kept):
                        replacement.remove(shop, kept)  # of a switch that was killed
                    replacement.keep(shop, kept)
                    check_closed(address, began)
                    replacement.put_in_place(shop, staged)
        replacement.remove(shop, there)  # its facts: the items are the gallery's now
        return present_state(shop, done)


def drop(address: str) -> Remodelling:
    """Delete the staged vectors, and those that were kept at the last switch."""
    with MilvusGallery(parse(address)) as shop:
        for name in (STAGED, KEPT):
            if replacement.exists(shop, there := place(shop, name)):
                replacement.remove(shop, there)
        return present_state(shop, Staging(0, 0, {}))


def staged_address(address: str) -> str:
    """Address of the staged vectors, which are a gallery.

    Raises:
        UsageError: There are none.
    """
    with MilvusGallery(parse(address)) as shop:
        if not replacement.exists(shop, there := place(shop, STAGED)):
            raise no_vectors(address, back=False)
        return there


def place(shop: MilvusGallery, name: str) -> str:
    """Address of the vectors of another model beside a gallery."""
    return replacement.beside(shop.address.text, name, partition_by=shop.partition_by)


@contextmanager
def closed(shop: MilvusGallery) -> Iterator[float]:
    """Refuse writes to a gallery, and wait for those that have begun. Gives the time since which it is closed."""
    began = monotonic()
    replacement.close_for_writing(shop)
    try:
        sleep(replacement.SETTLING_S)
        yield began
    except BaseException:
        replacement.open_for_writing(shop)
        raise


def check_closed(address: str, began: float) -> None:
    """Check that a gallery has been closed for writing all the time.

    Raises:
        GalleryLockedError: It takes writes again, since the switch took too long.
    """
    if monotonic() - began > replacement.CLOSED_S - replacement.SETTLING_S:
        raise GalleryLockedError(
            f"{address}: nothing was switched: the last items took longer than the {replacement.CLOSED_S / 60:.0f} "
            "minutes in which no other process writes; run the switch again, which begins with what is done",
            holder={},
        )


def check_kept(shop: MilvusGallery, name: str) -> None:
    """Check that no vectors of a third model are in the way of the present ones.

    Raises:
        UsageError: There are such vectors.
    """
    if not replacement.exists(shop, there := place(shop, name)):
        return
    with MilvusGallery(parse(there)) as other:
        check_same_model(other.spaces, shop.spaces, place=there)


def present_state(shop: MilvusGallery, done: Staging) -> Remodelling:
    """State of an open gallery after a step."""
    return state_of(shop, done, staged=described(shop, STAGED), kept=described(shop, KEPT))


def described(shop: MilvusGallery, name: str) -> AsideVectors:
    """Vectors of a name beside a gallery."""
    if not replacement.exists(shop, there := place(shop, name)):
        return AsideVectors()
    with MilvusGallery(parse(there)) as other:
        if replacement.collection_of(other) == replacement.collection_of(shop):  # of a switch that was killed
            return AsideVectors()
        return AsideVectors(len(other), tuple(model_ids_of(other.spaces)), other.stored_bytes())

"""Python objects: photos in memory, pickling, types of arguments, and the public names."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_shop import Shop

import lookalike
from lookalike import errors
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.images import open_image


def test_images_and_arrays_find_what_their_file_finds(shop: Shop) -> None:
    path = shop.photo("red-2")
    with lookalike.open(shop.gallery, model=str(shop.model)) as opened, Image.open(path) as image:
        wanted = opened.search(path, k=4)
        for photo in (image, np.asarray(open_image(path)), bytearray(path.read_bytes())):
            answer = opened.search(photo, k=4)
            assert answer.matches == wanted.matches
        assert opened.search(image).query.photo == str(path)
        assert opened.search(np.asarray(image)).query.photo == "photo"
        several = opened.search([path, np.asarray(open_image(shop.photo("blue-1")))], unlike=[image], k=4)
        assert several.matches == opened.search([path, shop.photo("blue-1")], unlike=[path], k=4).matches


def test_a_search_with_something_else_says_what_a_photo_is(shop: Shop) -> None:
    with lookalike.open(shop.gallery, model=str(shop.model)) as opened:
        with pytest.raises(lookalike.UsageError, match="expected a photo as a path"):
            opened.search(7)  # type: ignore[arg-type]
        with pytest.raises(lookalike.UsageError, match=r"got \(2, 5, 5, 3\) of float64"):
            opened.search(np.zeros((2, 5, 5, 3)))


def test_one_example_needs_no_list(shop: Shop) -> None:
    blue = shop.photo("blue-0")
    with lookalike.open(shop.gallery, model=str(shop.model)) as opened:
        for alone, several in (
            ({"unlike_item": "blue-0"}, {"unlike_item": ["blue-0"]}),
            ({"unlike": blue}, {"unlike": [blue]}),
            ({"unlike": str(blue)}, {"unlike": [str(blue)]}),
            ({"unlike": blue.read_bytes()}, {"unlike": [blue.read_bytes()]}),
        ):
            answer = opened.search(item="green-0", k=4, **alone)  # type: ignore[arg-type]
            assert answer.matches == opened.search(item="green-0", k=4, **several).matches  # type: ignore[arg-type]
            assert answer.matches != opened.search(item="green-0", k=4).matches
        one = opened.search(item=np.array(["green-0"]), unlike_item=None, k=4)  # type: ignore[arg-type]
        assert one.matches == opened.search(item="green-0", k=4).matches


def test_models_are_paths_too(shop: Shop) -> None:
    for model in (shop.model, [shop.model], str(shop.model)):
        with lookalike.open(shop.gallery, model=model) as opened:
            assert opened.search(shop.photo("red-2"), k=1).matches[0].item.id == "red-2"
            assert repr(opened) == f"<Retriever of {shop.gallery}>"


def test_ids_are_texts(shop: Shop) -> None:
    with lookalike.open(shop.gallery, model=str(shop.model)) as opened:
        first = opened.search(item="red-1", k=1).matches[0].item
        for options in ({"item": 7}, {"item": first}, {"item": "red-1", "unlike_item": [7]}):
            name = list(options)[-1]
            with pytest.raises(lookalike.UsageError, match=f"^{name} must be the id of an item"):
                opened.search(**options)  # type: ignore[arg-type]


def ids_of(retriever: lookalike.Retriever, item: str) -> list[str]:
    return [match.item.id for match in retriever.search(item=item, k=3).matches]


def test_a_retriever_travels_to_another_process(shop: Shop) -> None:
    with lookalike.open(shop.gallery, model=str(shop.model)) as opened:
        wanted = [match.item.id for match in opened.search(shop.photo("red-2"), k=3).matches]  # all is loaded
        assert [
            m.item.id for m in pickle.loads(pickle.dumps(opened)).search(shop.photo("red-2"), k=3).matches
        ] == wanted
        items = ["red-1", "blue-0"]
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found = pool.starmap_async(ids_of, [(opened, item) for item in items]).get(timeout=120)
        assert found == [ids_of(opened, item) for item in items]


def test_a_gallery_travels_as_its_folder(shop: Shop) -> None:
    with LocalGallery(shop.gallery, read_only=True) as gallery, pickle.loads(pickle.dumps(gallery)) as again:
        assert again.folder == shop.gallery.absolute()
        assert len(again) == 12
        with pytest.raises(lookalike.LookalikeError, match="read"):
            again.remove(["red-1"])


def test_all_errors_of_the_tree_are_public() -> None:
    defined = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.LookalikeError)
    }
    drawn = {
        line.split()[0]
        for line in (errors.__doc__ or "").replace("│", " ").replace("├──", "").replace("└──", "").splitlines()[2:]
        if line.startswith(" ")
    }
    assert len(defined) >= 23
    assert defined <= set(lookalike.__all__)
    assert defined == drawn


def test_public_names_are_imported_when_they_are_used() -> None:
    code = (
        "import sys, lookalike\n"
        "print(sorted(name for name in sys.modules if name.startswith('lookalike')), 'numpy' in sys.modules)\n"
        "lookalike.LookalikeError\n"
        "print('numpy' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['lookalike', 'lookalike.telemetry'] False", "False"]


def test_every_public_name_is_described(tmp_path: Path) -> None:
    for name in lookalike.__all__:
        assert (getattr(lookalike, name).__doc__ or "").strip(), name

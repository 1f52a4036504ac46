"""What the photo probably shows, as chips that filter, and whether a match is good."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live_page import OpenPage, Server, start_server
from on_page import answer, become, choose, query_of, settled, violations
from PIL import Image
from playwright.sync_api import Locator, Page, expect

import lookalike
from lookalike.embedding.calibration import Calibration, RelevanceCurve
from lookalike.finding.finder import SHIPPED_FINDER
from lookalike.tuning.calibration import write_calibration

RED, GREY = (200, 30, 40), (128, 128, 128)


@pytest.fixture(scope="module")
def labelling_server(
    tmp_path_factory: pytest.TempPathFactory, drawn_table: Path, labelled_model: Path
) -> Iterator[Server]:
    """Serves drawn garments with a model that takes red for dresses, of men, and grey for no garment."""
    yield from served(tmp_path_factory.mktemp("labelled") / "labelled.gallery", drawn_table, labelled_model)


@pytest.fixture(scope="module")
def doubtful_server(
    tmp_path_factory: pytest.TempPathFactory, drawn_table: Path, labelled_model: Path
) -> Iterator[Server]:
    """The same with a calibration by which items have good matches, and photos of dresses have none."""
    folder = tmp_path_factory.mktemp("doubtful")
    photo, item = RelevanceCurve(1.0, 0.0, {"kind": -4.0}), RelevanceCurve(1.0, 1.0)
    write_calibration(labelled_model, Calibration(photo, item), folder / "model.onnx")
    yield from served(folder / "doubtful.gallery", drawn_table, folder / "model.onnx")


@pytest.fixture(scope="module")
def installed_server(drawn_gallery: Path) -> Iterator[Server]:
    """Serves drawn garments with the model and the finder that are installed."""
    running = start_server(drawn_gallery, finder=SHIPPED_FINDER)
    yield running
    running.stop()


def served(gallery: Path, table: Path, model: Path) -> Iterator[Server]:
    """A server of a new gallery."""
    with lookalike.open(gallery, model=model) as shop:
        shop.index(table)
    running = start_server(gallery)
    yield running
    running.stop()


def cloth(folder: Path, color: tuple[int, int, int]) -> Path:
    Image.new("RGB", (60, 80), color).save(folder / "cloth.png")
    return folder / "cloth.png"


def chip(page: Page, name: str) -> Locator:
    return page.get_by_role("list", name="What the photo probably shows").get_by_role("button", name=name)


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_labels_are_chips_that_filter(
    labelling_server: Server, open_page: OpenPage, tmp_path: Path, width: int, scheme: str
) -> None:
    photo = cloth(tmp_path, RED)
    page = open_page(labelling_server, width=width, color_scheme=scheme, reduced_motion="reduce")
    choose(page, photo)
    expect(chip(page, "Dress")).to_have_attribute("aria-pressed", "false")
    everything = answer(labelling_server, photo=photo, k=24)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.shifted") < 0.02
    chip(page, "Dress").click()
    dresses = answer(labelling_server, photo=photo, k=24, where="type = 'Dress'")
    assert become(page, lambda ids: ids == dresses)
    assert query_of(page)["is.type"] == ["Dress"]
    expect(chip(page, "Dress")).to_have_attribute("aria-pressed", "true")
    expect(chip(page, "Dress")).to_be_focused()
    expect(page.get_by_role("button", name="Remove the filter Type: Dress")).to_be_visible()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    chip(page, "Dress").click()
    assert become(page, lambda ids: ids == everything)
    assert "is.type" not in query_of(page)


def test_nothing_is_said_without_labels(labelling_server: Server, open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page(labelling_server)
    choose(page, cloth(tmp_path, RED))
    expect(page.locator("#guesses")).to_be_visible()
    page.set_input_files("#choose", cloth(tmp_path, GREY))
    expect(page.locator("#guesses")).to_be_hidden()
    page.goto(f"{labelling_server.url}?item=d001-1")
    settled(page)
    expect(page.locator("#guesses")).to_be_hidden()


@pytest.mark.parametrize(("width", "known", "stops"), [(320, [], 1), (320, ["dress"], 0), (1440, [], 0)])
def test_a_keyboard_scrolls_labels_without_buttons(
    labelling_server: Server, open_page: OpenPage, tmp_path: Path, width: int, known: list[str], stops: int
) -> None:
    page = open_page(labelling_server, width=width)
    choose(page, cloth(tmp_path, RED))
    page.wait_for_load_state("networkidle")
    page.evaluate(
        """async known => {
            const {showGuesses} = await import("./guesses.js");
            const labels = {kind: [["dress", 0.9]], type: [["long-sleeved shirt", 0.9]], colour: [["navy blue", 0.9]]};
            const facets = [{name: "type", values: known.map(value => ({value, count: 3}))}];
            showGuesses({...labels, gender: [["women", 0.9]]}, facets, new Map(), () => {}, {kind: null, isOn: false});
        }""",
        known,
    )
    labels = page.locator("#guesses")
    assert labels.evaluate("list => list.scrollWidth > list.clientWidth") == (width == 320)
    expect(page.locator("#guesses[tabindex='0']")).to_have_count(stops)
    expect(labels.get_by_role("button")).to_have_count(len(known))
    assert violations(page) == []
    page.set_viewport_size({"width": 1760 - width, "height": 700})  # a phone is turned, or a window made narrow
    expect(page.locator("#guesses[tabindex='0']")).to_have_count(int(width == 1440))
    assert labels.evaluate("list => list.scrollWidth > list.clientWidth") == (width == 1440)


@pytest.mark.parametrize(
    ("value", "word", "found"),
    [
        ("Dresses", "dress", True),
        ("Tshirts", "t-shirt", True),
        ("Navy Blue", "navy blue", True),
        ("Jean", "jeans", True),
        ("Navy", "navy blue", False),
        (7, "dress", False),
    ],
)
def test_words_are_found_in_a_catalogue_as_it_spells_them(
    labelling_server: Server, open_page: OpenPage, value: object, word: str, found: bool
) -> None:
    page = open_page(labelling_server)
    facets = [
        {"name": "brand", "values": [{"value": value, "count": 3}]},
        {"name": "baseColor", "values": [{"value": value, "count": 3}]},
    ]
    page.evaluate(
        """async ([word, facets]) => {
            const {showGuesses} = await import("./guesses.js");
            const labels = {colour: [[word, 0.6]], kind: [[word, 0.9]], gender: [["men", 0.4]]};
            const change = (name, {values}) => (window.asked = [name, ...values]);
            showGuesses(labels, facets, new Map(), change, {kind: null, isOn: false});
            document.querySelector("#guesses button")?.click();
        }""",
        [word, facets],
    )
    expect(page.locator("#guesses li")).to_have_count(1)  # one word once, and none that is improbable
    assert page.evaluate("window.asked ?? null") == (["baseColor", value] if found else None)


def test_a_photo_without_a_garment_is_told_so(labelling_server: Server, open_page: OpenPage, tmp_path: Path) -> None:
    photo = cloth(tmp_path, GREY)
    page = open_page(labelling_server, reduced_motion="reduce")
    page.set_input_files("#choose", photo)
    expect(page.get_by_role("heading", name="There is probably no garment in this photo")).to_be_visible()
    advice = "If there is one, draw a box around it, or take a photo nearer to it."
    expect(page.locator("#notice")).to_contain_text(advice)
    expect(page.get_by_role("status")).to_have_text("No good match")
    expect(page.locator("#grid .card")).to_have_count(0)
    assert violations(page) == []
    page.get_by_role("button", name="Show the nearest anyway").click()
    assert become(page, lambda ids: ids == answer(labelling_server, photo=photo, k=24))
    assert query_of(page)["anyway"] == ["1"]
    expect(page.locator("#notice")).to_be_hidden()
    page.go_back()
    expect(page.get_by_role("heading", name="There is probably no garment in this photo")).to_be_visible()
    page.get_by_role("button", name="Show all 15").click()
    page.get_by_role("group", name="Type").get_by_label("Dress").check()  # who filters wants what passes
    dresses = answer(labelling_server, photo=photo, k=24, where="type = 'Dress'")
    assert become(page, lambda ids: ids == dresses)


def test_a_bad_lot_is_called_so(doubtful_server: Server, open_page: OpenPage, tmp_path: Path) -> None:
    photo = cloth(tmp_path, RED)
    page = open_page(doubtful_server)
    page.set_input_files("#choose", photo)
    expect(page.get_by_role("heading", name="No good match")).to_be_visible()
    expect(chip(page, "Dress")).to_be_visible()
    expect(page.locator("#grid .card")).to_have_count(0)
    page.get_by_role("button", name="Show the nearest anyway").click()
    everything = answer(doubtful_server, photo=photo, k=24)
    assert become(page, lambda ids: ids == everything)
    page.locator("#grid .icon-button").first.click()
    with lookalike.open(doubtful_server.gallery) as shop:
        relevance = shop.search(photo, garment="whole", k=1).matches[0].relevance
    assert relevance is not None and relevance < 0.5
    expect(page.locator(".details-score")).to_contain_text(f"rank 1, of the same kind with {relevance:.0%}"[:-1])
    page.get_by_role("dialog").get_by_role("button", name="Find similar").click()
    assert become(page, lambda ids: ids == answer(doubtful_server, item=everything[0], k=24))
    page.goto(f"{doubtful_server.url}?item=d001-1")
    settled(page)


def test_what_to_try_is_said_of_items_too(doubtful_server: Server, open_page: OpenPage) -> None:
    page = open_page(doubtful_server)
    texts = page.evaluate(
        """async () => {
            const {isNoGood} = await import("./answers.js");
            const {withTexts} = await import("./settings.js");
            const {noGoodMatchOf} = await withTexts(import("./failures.js"));
            const {emptyState} = await import("./state.js");
            const few = {matches: [{relevance: 0.49}, {relevance: 0.1}], noGarment: 0};
            const actions = {other: "other", anyway: "anyway"};
            const item = {...emptyState(), item: "a"}, photo = {...emptyState(), photo: "b"};
            return [
                isNoGood(item, few),
                isNoGood({...item, anyway: true}, few),
                isNoGood({...item, weights: {deep: 1}}, few),
                isNoGood(item, {...few, matches: [{relevance: 0.1}, {relevance: 0.5}]}),
                isNoGood(item, {...few, matches: [{}, {}]}),
                isNoGood(item, {...few, matches: []}),
                noGoodMatchOf(item, {...few, garments: []}, actions),
                noGoodMatchOf(photo, {...few, garments: [1, 2]}, actions).text,
            ];
        }"""
    )
    assert texts[:6] == [True, False, False, False, False, False]
    assert texts[6]["text"] == "Nothing else here is probably of its kind."
    assert texts[6]["actions"] == ["anyway"]
    assert texts[7] == "Choose another garment, draw a box around one, or take a photo nearer to it."


def test_what_is_installed_knows_a_jacket(installed_server: Server, open_page: OpenPage, query_photo: Path) -> None:
    page = open_page(installed_server)
    choose(page, query_photo)
    ids = answer(installed_server, photo=query_photo, k=24)
    assert become(page, lambda shown: shown == ids)[0].startswith("d013-")
    expect(page.locator("#guesses li").first).to_be_visible()
    expect(page.locator("#notice")).to_be_hidden()

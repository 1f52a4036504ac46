"""DeepFashion's files in the published format, in miniature, and the items that they describe."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lookalike.catalogue import open_catalogue
from lookalike.catalogue.benchmark import Pair, selects
from lookalike.errors import CatalogueError
from lookalike.types import Box, Item

INSHOP = {
    "Eval/list_eval_partition.txt": """3
image_name item_id evaluation_status
img/WOMEN/Dresses/id_00000002/02_1_front.jpg                           id_00000002 train     \x20
img/MEN/Denim/id_00000080/01_1_front.jpg                               id_00000080 query     \x20
img/MEN/Denim/id_00000080/04_7_additional.jpg                          id_00000080 gallery   \x20
""",
    "Anno/list_bbox_inshop.txt": """3
image_name clothes_type pose_type x_1 y_1 x_2 y_2
img/WOMEN/Dresses/id_00000002/02_1_front.jpg                           3 1 050 049 208 235
img/MEN/Denim/id_00000080/01_1_front.jpg                               2 1 072 079 232 253
img/MEN/Denim/id_00000080/04_7_additional.jpg                          2 5 001 001 256 256
""",
    "Anno/list_item_inshop.txt": "2\nid_00000002\nid_00000080\n",
    "Anno/list_landmarks_inshop.txt": """3
image_name clothes_type variation_type landmark_visibility_1 landmark_location_x_1 landmark_location_y_1
img/WOMEN/Dresses/id_00000002/02_1_front.jpg 3 2 0 101 052  0 140 050  1 080 120  0 170 121  0 1 2  0 3 4  2 0 0 0 7 8
img/MEN/Denim/id_00000080/01_1_front.jpg       2 1 0 090 080  0 160 080  0 085 250  0 165 251
img/MEN/Denim/id_00000080/04_7_additional.jpg  2 5 2 000 000  2 000 000  0 085 250  0 165 251
""",
    "Anno/attributes/list_attr_cloth.txt": "3\nattribute_name\na-line\nabstract chevron print\nzip\n",
    "Anno/attributes/list_attr_items.txt": "2\nitem attribute_labels\nid_00000002 1  1 -1\nid_00000080  -1 0 -1 \n",
    "Anno/attributes/list_color_cloth.txt": """3
image_name color
img/WOMEN/Dresses/id_00000002/02_1_front.jpg         Heather grey/navy
img/MEN/Denim/id_00000080/01_1_front.jpg             Light wash
img/MEN/Denim/id_00000080/04_7_additional.jpg        Black
""",
    "Anno/list_description_inshop.json": json.dumps(
        [
            {"item": "id_00000002", "color": "Other", "description": ["A dress.", "Of silk"]},
            {"item": "id_00000080", "color": "Light wash", "description": ["Pale jeans."]},
            {"item": "id_00000080", "color": "Black", "description": ["Dark jeans."]},
        ]
    ),
}

COARSE = {
    "Eval/list_eval_partition.txt": """3
image_name  evaluation_status
img/Sheer_Pleated-Front_Blouse/img_00000001.jpg   train
img/Sheer_Pleated-Front_Blouse/img_00000002.jpg   val\x20
img/Denim_Cutoffs/img_00000001.jpg                test
""",
    "Anno/list_category_cloth.txt": """3
category_name  category_type
Blouse         1
Button-Down    1
Cutoffs        2
""",
    "Anno/list_category_img.txt": """3
image_name  category_label
img/Sheer_Pleated-Front_Blouse/img_00000001.jpg                        1
img/Sheer_Pleated-Front_Blouse/img_00000002.jpg                        2
img/Denim_Cutoffs/img_00000001.jpg                                     3
""",
    "Anno/list_attr_cloth.txt": """4
attribute_name  attribute_type
a-line                       3
abstract                     1
abstract chevron             1
abstract chevron print       1
""",
    "Anno/list_attr_img.txt": """3
image_name  attribute_labels
img/Sheer_Pleated-Front_Blouse/img_00000001.jpg    -1 -1  1  1
img/Sheer_Pleated-Front_Blouse/img_00000002.jpg    -1 -1 -1 -1 \x20
img/Denim_Cutoffs/img_00000001.jpg                  1  0 -1 -1
""",
    "Anno/list_bbox.txt": """3
image_name  x_1  y_1  x_2  y_2
img/Sheer_Pleated-Front_Blouse/img_00000001.jpg  072 079 232 273
img/Sheer_Pleated-Front_Blouse/img_00000002.jpg  067 059 155 161
img/Denim_Cutoffs/img_00000001.jpg               065 065 065 200
""",
    "Anno/list_landmarks.txt": """3
image_name  clothes_type  landmark_visibility_1  landmark_location_x_1  landmark_location_y_1
img/Sheer_Pleated-Front_Blouse/img_00000001.jpg  1  0 146 102  0 173 095  0 094 242  0 205 255  0 136 229  1 177 232
img/Sheer_Pleated-Front_Blouse/img_00000002.jpg  1  0 106 080  0 129 083  1 091 144  0 150 145  0 099 149  0 142 152
img/Denim_Cutoffs/img_00000001.jpg               2  0 088 072  0 128 068  2 000 000  0 133 136
""",
}

FINE_NAMES = """26
attribute_name attribute_type
floral 1
graphic 1
striped 1
embroidered 1
pleated 1
solid 1
lattice 1
long_sleeve 2
short_sleeve 2
sleeveless 2
maxi_length 3
mini_length 3
no_dress 3
crew_neckline 4
v_neckline 4
square_neckline 4
no_neckline 4
denim 5
chiffon 5
cotton 5
leather 5
faux 5
knit 5
tight 6
loose 6
conventional 6
"""
FINE_ROW = "0 0 1 0 0 0 0 1 0 0 0 0 1 1 0 0 0 0 0 1 0 0 0 0 0 1"
FINE = {
    "Anno_coarse/list_category_cloth.txt": COARSE["Anno/list_category_cloth.txt"],
    "Anno_fine/list_attr_cloth.txt": FINE_NAMES,
    "Anno_fine/train.txt": "img/Sheer_Pleated-Front_Blouse/img_00000001.jpg\nimg/Denim_Cutoffs/img_00000001.jpg\n",
    "Anno_fine/train_attr.txt": f"{FINE_ROW}\n{FINE_ROW.replace('0 1 0 0 0 0', '0 0 0 0 0 0', 1)}\n",
    "Anno_fine/train_cate.txt": "1\n3\n",
    "Anno_fine/train_bbox.txt": "72 79 232 273\n65 65 156 200\n",
    "Anno_fine/train_landmarks.txt": f"{' '.join(map(str, range(1, 17)))}\n{'0 ' * 16}\n",
    "Anno_fine/val.txt": "img/Sheer_Pleated-Front_Blouse/img_00000002.jpg\n",
    "Anno_fine/val_attr.txt": f"{FINE_ROW}\n",
    "Anno_fine/val_cate.txt": "2\n",
    "Anno_fine/val_bbox.txt": "67 59 155 161\n",
    "Anno_fine/val_landmarks.txt": "0 " * 16,
    "Anno_fine/test.txt": "",
    "Anno_fine/test_attr.txt": "",
    "Anno_fine/test_cate.txt": "",
    "Anno_fine/test_bbox.txt": "",
    "Anno_fine/test_landmarks.txt": "",
}

A, B = "img/DRESSES/Dress/id_00000001/", "img/TOPS/T_Shirt/id_00000002/"
CONSUMER2SHOP = {
    "Eval/list_eval_partition.txt": f"""5
image_pair_name_1 image_pair_name_2 item_id evaluation_status
{A}comsumer_01.jpg   {A}shop_01.jpg   id_00000001 test
{A}comsumer_01.jpg   {A}shop_02.jpg   id_00000001 test
{A}comsumer_02.jpg   {A}shop_01.jpg   id_00000001 test
{A}comsumer_02.jpg   {A}shop_02.jpg   id_00000001 test
{B}comsumer_01.jpg   {B}shop_01.jpg   id_00000002 val  \x20
""",
    "Anno/list_bbox_consumer2shop.txt": f"""5
image_name clothes_type source_type x_1 y_1 x_2 y_2
{A}comsumer_01.jpg 3 2 010 020 110 220
{A}comsumer_02.jpg 3 2 011 020 110 220
{A}shop_01.jpg     3 1 012 020 110 220
{A}shop_02.jpg     3 1 013 020 110 220
{B}comsumer_01.jpg 1 2 014 020 110 220
""",
    "Anno/list_item_consumer2shop.txt": "2\nid_00000001\nid_00000002\n",
    "Anno/list_attr_type.txt": "2\nname code\n\u989c\u8272 color 1\n\u9762\u6599 (x) cloth material 2\n",
    "Anno/list_attr_cloth.txt": """3
attribute_name attribute_type
\u7ea2 red 1
\u68c9 (\u7eaf) pure cotton 2
\u7eff light green 1
""",
    "Anno/list_attr_items.txt": "2\nitem_id attribute_labels\nid_00000001 1 1 -1\nid_00000002 -1 -1 1\n",
}


def write(root: Path, files: dict[str, str]) -> Path:
    """Write files, and the folder that the photos would lie in."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (root / "Img" / "img").mkdir(parents=True)
    return root


def read(root: Path) -> dict[str, Item]:
    """The items by id."""
    return {item.id: item for item in open_catalogue(str(root)).items()}


def test_inshop(tmp_path: Path) -> None:
    catalogue = open_catalogue(str(write(tmp_path, INSHOP)))
    assert (catalogue.kind, catalogue.count, catalogue.notes) == ("inshop", 3, ())
    dress, query, gallery = catalogue.items()
    assert dress == Item(
        id="img/WOMEN/Dresses/id_00000002/02_1_front.jpg",
        photo="img/WOMEN/Dresses/id_00000002/02_1_front.jpg",
        root=str(tmp_path / "Img"),
        product="id_00000002",
        box=Box(50, 49, 208, 235),
        attributes={
            "split": "train",
            "gender": "WOMEN",
            "category": "Dresses",
            "variant": "02",
            "view": "front",
            "clothes_type": "full",
            "pose": "front",
            "variation": "medium pose",
            "color": "Heather grey/navy",
            "description": "A dress. Of silk",
            "attributes": ["a-line", "abstract chevron print"],
            "landmarks": [
                [101, 52, 0],
                [140, 50, 0],
                [80, 120, 1],
                [170, 121, 0],
                [1, 2, 0],
                [3, 4, 0],
                [0, 0, 2],
                [7, 8, 0],
            ],
        },
    )
    assert (query.product, query.attributes["split"], query.attributes["description"]) == (
        "id_00000080",
        "query",
        "Pale jeans.",
    )
    assert (gallery.attributes["variant"], gallery.attributes["view"]) == ("04", "additional")
    assert gallery.attributes["pose"] == "zoom-in"
    assert gallery.attributes["attributes"] == []
    assert gallery.attributes["description"] == "Dark jeans."
    assert catalogue.benchmark
    (sides,) = catalogue.benchmark.sides.values()
    assert [selects(sides.queries, item) for item in (dress, query, gallery)] == [False, True, False]
    assert [selects(sides.gallery, item) for item in (dress, query, gallery)] == [False, False, True]


@pytest.mark.parametrize(
    "moved",
    [
        {"Eval/list_eval_partition.txt": "list_eval_partition.txt"},
        {"Eval/list_eval_partition.txt": "Anno/list_eval_partition.txt"},
        {
            f"Anno/attributes/{name}": f"Anno/{name}"
            for name in ("list_attr_cloth.txt", "list_attr_items.txt", "list_color_cloth.txt")
        },
        {name: name.rpartition("/")[2] for name in INSHOP},
        {"Img/img": "img"},
    ],
    ids=["partition-in-root", "partition-in-anno", "attributes-in-anno", "all-in-root", "img-in-root"],
)
def test_inshop_reads_the_same_wherever_a_mirror_keeps_its_files(tmp_path: Path, moved: dict[str, str]) -> None:
    root = write(tmp_path / "as published", INSHOP)
    before = [(item.id, item.product, item.box, item.attributes) for item in read(root).values()]
    for old, new in moved.items():
        (root / old).rename(root / new)
    assert [(item.id, item.product, item.box, item.attributes) for item in read(root).values()] == before
    assert all(Path(item.location).is_relative_to(next(root.rglob("img"))) for item in read(root).values())


def test_inshop_as_the_original_system_kept_it_needs_only_two_files(tmp_path: Path) -> None:
    names = ("Eval/list_eval_partition.txt", "Anno/list_bbox_inshop.txt")
    root = write(tmp_path / "in_shop", {name.rpartition("/")[2]: INSHOP[name] for name in names})
    catalogue = open_catalogue(str(root))
    assert next(catalogue.items()).box == Box(50, 49, 208, 235)
    assert len([note for note in catalogue.notes if "is missing; looked in Eval/" in note]) == 5


def test_high_resolution_photos_are_read_without_boxes_that_do_not_fit(tmp_path: Path) -> None:
    root = write(tmp_path, INSHOP)
    (root / "Img" / "img").rename(root / "Img" / "img_highres")
    catalogue = open_catalogue(str(root))
    item = next(catalogue.items())
    assert (item.photo, item.box) == ("img_highres/WOMEN/Dresses/id_00000002/02_1_front.jpg", None)
    assert item.id == "img/WOMEN/Dresses/id_00000002/02_1_front.jpg"
    assert any("boxes" in note for note in catalogue.notes)


@pytest.mark.parametrize("anno", ["Anno", "Anno_coarse"])
def test_attributes(tmp_path: Path, anno: str) -> None:
    files = {name.replace("Anno/", f"{anno}/"): text for name, text in COARSE.items()}
    catalogue = open_catalogue(str(write(tmp_path, files)))
    assert (catalogue.kind, catalogue.count) == ("attributes", 3)
    assert catalogue.notes == ("1 boxes in list_bbox.txt enclose nothing; those photos are used whole",)
    blouse, second, cutoffs = catalogue.items()
    assert blouse == Item(
        id="img/Sheer_Pleated-Front_Blouse/img_00000001.jpg",
        photo="img/Sheer_Pleated-Front_Blouse/img_00000001.jpg",
        root=str(tmp_path / "Img"),
        product="Sheer_Pleated-Front_Blouse",
        box=Box(72, 79, 232, 273),
        attributes={
            "split": "train",
            "category": "Blouse",
            "clothes_type": "upper",
            "attributes": ["abstract chevron", "abstract chevron print"],
            "landmarks": [[146, 102, 0], [173, 95, 0], [94, 242, 0], [205, 255, 0], [136, 229, 0], [177, 232, 1]],
        },
    )
    assert second.attributes["attributes"] == []
    assert (cutoffs.box, cutoffs.attributes["attributes"], cutoffs.attributes["category"]) == (
        None,
        ["a-line"],
        "Cutoffs",
    )
    assert catalogue.benchmark
    assert catalogue.benchmark.category_types == {"Blouse": "upper", "Button-Down": "upper", "Cutoffs": "lower"}
    assert catalogue.benchmark.attribute_types["abstract chevron print"] == "texture"


def test_fine_attributes(tmp_path: Path) -> None:
    root = write(tmp_path, FINE)
    items = read(root / "Anno_fine")
    assert items == {item.id: item for item in open_catalogue(str(root / "Anno_fine")).items()}
    first = items["img/Sheer_Pleated-Front_Blouse/img_00000001.jpg"]
    assert first.attributes == {
        "split": "train",
        "category": "Blouse",
        "clothes_type": "upper",
        "attributes": ["striped", "long_sleeve", "no_dress", "crew_neckline", "cotton", "conventional"],
        "texture": "striped",
        "sleeve": "long_sleeve",
        "length": "no_dress",
        "neckline": "crew_neckline",
        "fabric": "cotton",
        "fit": "conventional",
        "landmarks": [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [11, 12], [13, 14], [15, 16]],
    }
    assert first.location == str(root / "Img" / "img/Sheer_Pleated-Front_Blouse/img_00000001.jpg")
    assert "texture" not in items["img/Denim_Cutoffs/img_00000001.jpg"].attributes
    assert items["img/Sheer_Pleated-Front_Blouse/img_00000002.jpg"].attributes["split"] == "val"


def test_the_fine_annotations_alone_are_found_from_the_root_too(tmp_path: Path) -> None:
    root = write(tmp_path, {name: text for name, text in FINE.items() if name.startswith("Anno_fine")})
    (root / "Anno_fine" / "list_category_cloth.txt").write_text(COARSE["Anno/list_category_cloth.txt"])
    assert open_catalogue(str(root)).source == str(root / "Anno_fine")


def test_consumer2shop(tmp_path: Path) -> None:
    catalogue = open_catalogue(str(write(tmp_path, CONSUMER2SHOP)))
    assert (catalogue.kind, catalogue.count) == ("consumer2shop", 6)
    items = {item.id: item for item in catalogue.items()}
    assert items[f"{A}comsumer_02.jpg"] == Item(
        id=f"{A}comsumer_02.jpg",
        photo=f"{A}comsumer_02.jpg",
        root=str(tmp_path / "Img"),
        product="id_00000001",
        box=Box(11, 20, 110, 220),
        attributes={
            "split": "test",
            "source": "consumer",
            "group": "DRESSES",
            "category": "Dress",
            "clothes_type": "full",
            "attributes": ["red", "pure cotton"],
        },
    )
    benchmark = catalogue.benchmark
    assert benchmark
    assert benchmark.attribute_types == {"red": "color", "pure cotton": "cloth material", "light green": "color"}
    assert benchmark.pairs[1] == Pair(f"{A}comsumer_01.jpg", f"{A}shop_02.jpg", "id_00000001", "test")
    assert len(benchmark.pairs) == 5

    def gallery(name: str) -> list[str]:
        return [item.id for item in items.values() if selects(benchmark.sides[name].gallery, item)]

    assert next(iter(benchmark.sides)) == "test"
    assert gallery("test") == [f"{A}shop_01.jpg", f"{A}shop_02.jpg"]
    assert gallery("val+test") == [f"{A}shop_01.jpg", f"{A}shop_02.jpg", f"{B}shop_01.jpg"]


def test_suffering_chinese_names_do_no_harm(tmp_path: Path) -> None:
    root = write(tmp_path, CONSUMER2SHOP)
    names = root / "Anno" / "list_attr_cloth.txt"
    names.write_bytes(names.read_bytes().replace("\u7ea2".encode(), b"\xe7\xba"))
    assert read(root)[f"{A}shop_01.jpg"].attributes["attributes"] == ["red", "pure cotton"]


def test_a_folder_of_benchmarks(tmp_path: Path) -> None:
    write(tmp_path / "In-shop Clothes Retrieval Benchmark", INSHOP)
    assert open_catalogue(str(tmp_path)).kind == "inshop"
    write(tmp_path / "Consumer-to-shop Clothes Retrieval Benchmark", CONSUMER2SHOP)
    with pytest.raises(CatalogueError, match=r"several benchmarks.*'Consumer-to-shop .*', 'In-shop "):
        open_catalogue(str(tmp_path))
    (tmp_path / "holiday photos").mkdir()
    (tmp_path / "holiday photos" / "a.jpg").write_bytes(b"\xff\xd8\xff")
    assert open_catalogue(str(tmp_path)).kind == "folder"


@pytest.mark.parametrize("kind", ["inshop", "attributes", "consumer2shop"])
def test_a_benchmark_is_recognised_by_its_partition_alone(tmp_path: Path, kind: str) -> None:
    files = {"inshop": INSHOP, "attributes": COARSE, "consumer2shop": CONSUMER2SHOP}[kind]
    root = write(tmp_path, files)
    shutil.rmtree(root / "Anno")
    if kind == "attributes":
        with pytest.raises(CatalogueError, match=r"list_category_cloth.txt is missing; looked in Anno/, Anno_coarse/"):
            open_catalogue(str(root))
    else:
        assert open_catalogue(str(root)).kind == kind


def test_a_tree_of_splits_and_classes(tmp_path: Path) -> None:
    for name in ("train/dress/1.jpg", "train/polo shirt/nested/2.jpg", "validation/dress/3.jpg", "test/dress/4.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff\xd8\xff")
    catalogue = open_catalogue(str(tmp_path))
    assert catalogue.kind == "imagefolder"
    assert {item.id: (item.attributes["split"], item.attributes["class"]) for item in catalogue.items()} == {
        "train/dress/1.jpg": ("train", "dress"),
        "train/polo shirt/nested/2.jpg": ("train", "polo shirt"),
        "validation/dress/3.jpg": ("val", "dress"),
        "test/dress/4.jpg": ("test", "dress"),
    }
    (tmp_path / "other").mkdir()
    assert open_catalogue(str(tmp_path)).kind == "folder"

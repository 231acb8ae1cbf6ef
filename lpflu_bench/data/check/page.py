"""The data report as one HTML page, with a contact sheet of each split."""

import base64
import io
from collections.abc import Iterator, Sequence
from functools import singledispatch
from typing import Any

import jinja2
import torch
from markupsafe import Markup
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2 import functional as TF

from lpflu_bench.data.check.report import DataReport
from lpflu_bench.data.detection_set import DetectionSet
from lpflu_bench.data.drawing import draw_boxes, draw_masks
from lpflu_bench.data.image_files import ImageFileError, read_image
from lpflu_bench.data.labelled_images import LabelledImages
from lpflu_bench.data.segmentation_set import SceneSet

_SHOWN = 12
_LONGER_SIDE = 320

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Data check: {{ report.root }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; } th, td { padding: .2rem .8rem; text-align: right; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 1px solid #888; }
.error { color: #b00020; } .warning { color: #8a5a00; } .ok { color: #1b6e2d; }
.sheet { display: flex; flex-wrap: wrap; gap: .6rem; } .sheet img { max-width: 20rem; max-height: 20rem; }
code { font-size: 13px; overflow-wrap: anywhere; }
</style>
<h1>Data check</h1>
<p><code>{{ report.root }}</code> read by {{ report.kind }}; {{ report.class_names|length }} classes</p>
<h2>Findings</h2>
{% if report.ok %}<p class="ok">A training would run.</p>{% else %}<p class="error">A training would fail.</p>{% endif %}
<ul>{% for f in report.findings %}<li class="{{ f.level }}">{{ f.level }}{% if f.count > 1 %} ({{ f.count }}x){% endif %}:
{{ f.text }}{% for e in f.examples %}<br><code>{{ e }}</code>{% endfor %}</li>{% endfor %}</ul>
{% if report.splits %}
<h2>Splits</h2>
<table><thead><tr><th></th>{% for name in report.splits %}<th>{{ name }}</th>{% endfor %}</tr></thead>
{% for key, label in rows %}<tr><td>{{ label }}</td>{% for part in report.splits.values() %}<td>{{ part[key]|cell }}</td>
{% endfor %}</tr>{% endfor %}</table>
<h2>Classes</h2>
<table><thead><tr><th>class</th>{% for name in report.splits %}<th>{{ name }}: {{ unit }}</th><th>images</th>{% endfor %}
</tr></thead>
{% for name in report.class_names %}<tr><td>{{ name }}</td>{% for part in report.splits.values() %}
<td>{{ "{:,}".format(part["classes"][name]) }}</td><td>{{ "{:,}".format(part["images_with_class"][name]) }}</td>
{% endfor %}</tr>{% endfor %}</table>
{% for name, pictures in sheets.items() %}<h2>Some {{ name }} images</h2>
<div class="sheet">{% for picture in pictures %}<img src="{{ picture }}" alt="">{% endfor %}</div>{% endfor %}
{% endif %}</html>
"""

_ROWS = [
    ("images", "images"),
    ("without_labels", "images without a label"),
    ("image_sizes", "image sizes (width x height: images)"),
    ("different_image_sizes", "different sizes"),
    ("box_sides", "boxes, shorter side in pixels"),
    ("exif_orientations", "EXIF orientation: images"),
    ("bit_depths", "bits of a value: images"),
]


def render(report: DataReport, sets: dict[str, Dataset[Any]]) -> str:
    """Return the page.

    Args:
        report: what is in the set.
        sets: the splits, of which some images are drawn with their labels; empty if they couldn't be read.
    """
    environment = jinja2.Environment(autoescape=True)
    environment.filters["cell"] = _cell
    units = {DetectionSet: "objects", SceneSet: "pixels", LabelledImages: "images"}
    unit = next((text for kind, text in units.items() for each in sets.values() if isinstance(each, kind)), "samples")
    sheets = {name: list(_sheet(dataset, report.class_names)) for name, dataset in sets.items()}
    return environment.from_string(_PAGE).render(report=report, rows=_ROWS, sheets=sheets, unit=unit)


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return Markup("<br>").join(f"{key}: {count}" for key, count in value.items() if key != "of")
    return "" if value is None else f"{value:,}"


def _sheet(dataset: Dataset[Any], class_names: Sequence[str]) -> Iterator[str]:
    count = len(dataset)  # type: ignore[arg-type]
    for place in range(min(_SHOWN, count)):
        try:
            drawn = picture(dataset, place * count // min(_SHOWN, count), class_names)
        except ImageFileError:
            continue  # it is among the findings
        file = io.BytesIO()
        Image.fromarray(drawn.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=85)
        yield f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


@singledispatch
def picture(dataset: Any, index: int, class_names: Sequence[str]) -> Tensor:
    """Return a sample's image with its labels drawn on it, uint8 [3, H, W]."""
    raise TypeError(f"no picture of {type(dataset).__name__}")


@picture.register
def _(dataset: LabelledImages, index: int, class_names: Sequence[str]) -> Tensor:
    image, target = dataset[index]
    mode = TF.InterpolationMode.NEAREST if image.shape[-1] < 128 else TF.InterpolationMode.BILINEAR
    large = TF.resize(image.cpu().expand(3, -1, -1), [128, 128], interpolation=mode, antialias=True)
    whole = large.new_tensor([[0, 0, 127, 127]])
    return draw_boxes(large, whole, [int(target)], [class_names[int(target)]])


@picture.register
def _(dataset: DetectionSet, index: int, class_names: Sequence[str]) -> Tensor:
    annotation = dataset.annotations[index]
    small, factor = _shrunk(read_image(annotation.image))
    indices = [int(label) - 1 for label in annotation.labels]
    texts = [
        class_names[i] + (" (difficult)" if difficult else "") + (" (crowd)" if crowd else "")
        for i, difficult, crowd in zip(indices, annotation.difficult, annotation.crowd, strict=True)
    ]
    return draw_boxes(small, annotation.boxes * factor, indices, texts)


@picture.register
def _(dataset: SceneSet, index: int, class_names: Sequence[str]) -> Tensor:
    image, _ = _shrunk(read_image(dataset.scenes[index].image))
    mode = TF.InterpolationMode.NEAREST_EXACT
    classes = TF.resize(dataset.decode.label(index)[None], list(image.shape[-2:]), interpolation=mode)[0]
    return torch.cat([image, draw_masks(image, classes, class_names)], dim=2)


def _shrunk(image: Tensor) -> tuple[Tensor, float]:
    factor = min(1.0, _LONGER_SIDE / max(image.shape[-2:]))
    size = [max(1, round(side * factor)) for side in image.shape[-2:]]
    small: Tensor = TF.resize(image, size, antialias=True)
    return small.contiguous(), factor

"""Pictures of sequences: what is drawn, from where it is seen, bytes that repeat themselves."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from skelmae_datasets import DataError, Sample, Sequence, SkeletonLayout, StoreWriter, get_layout, read_sequence
from skelmae_datasets.pictures import layout_figure
from skelmae_datasets.pictures.drawing import FAINTEST, draw_frame, part_colours, pose_of
from skelmae_datasets.pictures.figures import new_figure, sequence_images, sequence_strip, show_sequence
from skelmae_datasets.pictures.layout_figure import show_layout
from skelmae_datasets.pictures.views import project
from skelmae_datasets.synthetic import generate_motion, write_dataset

DATA = Path(os.environ.get("SKELMAE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
COCO, NTU = get_layout("coco17"), get_layout("ntu25")


def flat(people=1, frames=5, **changes):
    keypoints = np.random.default_rng(0).uniform(50, 400, (people, frames, 17, 3)).astype("float32")
    keypoints[..., 2] = 0.9
    return Sequence(Sample("s", keypoints, 0, **changes), COCO, ("x", "y", "score"), "wave")


def drawn(pose, frame=0, layout=COCO, **options):
    axes = new_figure(2, 2).add_subplot()
    draw_frame(axes, pose, frame, layout, **options)
    bones = [line for line in axes.lines if len(line.get_xdata()) == 2]
    return bones, [line for line in axes.lines if len(line.get_xdata()) == 1], axes.texts


def test_every_bone_is_drawn_in_the_colour_of_its_part():
    sequence = flat()
    bones, dots, _ = drawn(pose_of(sequence.sample.keypoints, sequence.channels, COCO))
    assert (len(bones), len(dots)) == (len(COCO.edges), 17)
    colours = part_colours(COCO)
    assert [bone.get_color() for bone in bones] == [colours[child] for child, _ in COCO.edges]
    assert len({colours[members[0]] for members in COCO.parts.values()}) == len(COCO.parts)


def test_absent_joints_and_their_bones_are_not_drawn_and_doubtful_ones_are_faint():
    keypoints = flat().sample.keypoints
    keypoints[0, 0, 7] = 0  # the left elbow: two bones
    keypoints[0, 0, 16, 2] = 0.01
    bones, dots, _ = drawn(pose_of(keypoints, ("x", "y", "score"), COCO))
    assert (len(bones), len(dots)) == (len(COCO.edges) - 2, 16)
    faint = [bone for bone in bones if bone.get_alpha() == FAINTEST]
    assert len(faint) == 1 and len([dot for dot in dots if dot.get_alpha() == FAINTEST]) == 1


def test_both_people_and_names():
    sequence = flat(people=2)
    bones, _, names = drawn(pose_of(sequence.sample.keypoints, sequence.channels, COCO), names=True)
    assert len(bones) == 2 * len(COCO.edges)
    assert len({str(bone.get_linestyle()) for bone in bones}) == 2
    assert {text.get_text() for text in names} == {name.replace("_", " ") for name in COCO.joints}


def animal():
    """A layout with long names, a "$" in them and many parts; lying along the picture, its joints close in height."""
    joints = [f"{part}_of_the_{side}_side_{number}" for part in ("forepaw", "hindpaw", "tail_$x^{2$") for side in
              ("left", "right") for number in range(3)]  # fmt: skip
    parts = {f"segment_number_{number}_of_the_$animal": [3 * number + i for i in range(3)] for number in range(6)}
    edges = [[number, number - 1] for number in range(1, 18)]
    return SkeletonLayout.from_dict({"name": "the_$animal", "joints": joints, "edges": edges, "parts": parts})


def boxes(texts, renderer):
    """Where the texts are, without the lines that lead to them."""
    return [Text.get_window_extent(text, renderer) for text in texts if text.get_text()]


@pytest.mark.parametrize("people", [1, 2])
@pytest.mark.parametrize("frames", [1, 3])
def test_long_names_are_written_whole_and_apart(frames, people):
    rng, layout = np.random.default_rng(0), animal()
    keypoints = np.stack([rng.uniform(10, 600, (people, 4, 18)), rng.uniform(200, 230, (people, 4, 18))], -1)
    keypoints[1:] = 0  # of the second person nothing but the line in the legend
    sequence = Sequence(Sample("s", keypoints.astype("float32"), 0), layout, ("x", "y"), "")
    figure = sequence_strip(sequence, frames, names=True)
    figure.canvas.draw()
    renderer, page = figure.canvas.get_renderer(), figure.bbox
    for axes in figure.axes:
        named = boxes([text for text in axes.texts if "side" in text.get_text()], renderer)
        assert len(named) == 18
        for number, box in enumerate(named):
            assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1
            assert not any(box.padded(-1).overlaps(other) for other in named[:number])
    whole = [boxes(axes.texts, renderer) for axes in figure.axes]
    for one, other in zip(whole, whole[1:], strict=False):
        assert max(box.x1 for box in one) <= min(box.x0 for box in other)
    (legend,) = figure.legends
    box = legend.get_window_extent(renderer)
    assert page.x0 <= box.x0 and box.x1 <= page.x1 and box.y1 <= min(axes.bbox.y0 for axes in figure.axes)
    assert len(list(sequence_images(sequence, 2, names=True))) == 2


def test_a_layout_with_long_names_is_drawn_whole(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(layout_figure, "save_figure", lambda figure, path: figures.append(figure))
    show_layout(animal(), tmp_path / "x.png")
    (figure,) = figures
    figure.canvas.draw()
    renderer, page = figure.canvas.get_renderer(), figure.bbox
    for box in [*boxes(figure.texts, renderer), figure.legends[0].get_window_extent(renderer)]:
        assert page.x0 <= box.x0 and box.x1 <= page.x1


def test_image_coordinates_stand_upright():
    keypoints = np.array([[[[10.0, 20.0, 1.0]] * 17]])
    np.testing.assert_array_equal(project(keypoints, 2, COCO)[0, 0, 0], [10, -20])


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2)])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_head_is_up_whichever_axis_is_vertical(order, sign):
    body = generate_motion("wave", noise=0)[..., order] * sign
    points = project(body, 3, NTU)
    assert points[0, 0, 3, 1] > points[0, 0, 0, 1] > points[0, 0, 15, 1]


def test_a_view_turns_and_neither_mirrors_nor_stretches():
    body = generate_motion("squat", noise=0)
    points, turned = project(body, 3, NTU), body.copy()
    np.testing.assert_allclose(points[..., 1], body[..., 1], atol=1e-6)
    angle = 1.1
    turned[..., 0] = body[..., 0] * np.cos(angle) - body[..., 2] * np.sin(angle)
    turned[..., 2] = body[..., 0] * np.sin(angle) + body[..., 2] * np.cos(angle)
    other = project(turned, 3, NTU)
    gaps = [np.abs(np.subtract(*p[0, :, [4, 8], 0])).mean() for p in (points, other)]
    width = np.linalg.norm(body[0, :, 4] - body[0, :, 8], axis=-1).mean()
    assert min(gaps) > 0.7 * width and max(gaps) <= width * 1.001, "the shoulders are seen from nearly in front"
    for p in (points, other, project(body * [-1, 1, -1], 3, NTU)):
        assert (p[0, :, 4, 0] > p[0, :, 8, 0]).all(), "from the front the left shoulder is on the right"


def test_two_people_stand_beside_each_other():
    body = generate_motion("handshake", noise=0)
    apart = np.subtract(*body.mean(axis=(1, 2))[:, [0, 2]])
    centres = project(body, 3, NTU).mean(axis=(1, 2))[:, 0]
    assert abs(centres[0] - centres[1]) == pytest.approx(np.hypot(*apart), rel=1e-3)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".gif"])
def test_the_same_sequence_gives_the_same_bytes(suffix, tmp_path):
    for name in "ab":
        show_sequence(flat(people=2), tmp_path / (name + suffix), frames=3)
    one, two = ((tmp_path / (name + suffix)).read_bytes() for name in "ab")
    assert one == two and len(one) > 1000
    show_sequence(flat(people=1), tmp_path / ("c" + suffix), frames=3)
    assert (tmp_path / ("c" + suffix)).read_bytes() != one
    if suffix == ".gif":
        from PIL import Image

        assert Image.open(tmp_path / "a.gif").n_frames == 3


def test_pyplot_is_not_touched(tmp_path):
    import sys

    show_sequence(flat(), tmp_path / "a.png")
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_odd_sequences_can_be_drawn(tmp_path):
    nobody = flat()
    nobody.sample.keypoints[:] = 0
    one_frame = flat(frames=1)
    one_frame.sample.id = "cost $5 <b>"
    point = flat()
    point.sample.keypoints[:, :, 1:] = 0
    for number, sequence in enumerate((nobody, one_frame, point)):
        show_sequence(sequence, tmp_path / f"{number}.svg", names=True)
        show_sequence(sequence, tmp_path / f"{number}.gif")
    assert "nobody" in (tmp_path / "0.svg").read_text() and "cost $5 &lt;b&gt;" in (tmp_path / "1.svg").read_text()


def test_a_strip_has_no_more_frames_than_the_sequence():
    assert len(sequence_strip(flat(frames=2), frames=8).axes) == 2


def test_video_needs_ffmpeg_and_other_suffixes_are_told(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="suffix: expected .png, .svg, .gif, .mp4, found .bmp"):
        show_sequence(flat(), tmp_path / "a.bmp")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(DataError, match="needs the program ffmpeg"):
        show_sequence(flat(), tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


def test_video_where_ffmpeg_is(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nfor last; do :; done\nwc -c > "$last"\necho "$@" >> "$last"\n')  # stands in
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    show_sequence(flat(), tmp_path / "a.mp4", frames=2, rate=9)
    size, arguments = (tmp_path / "a.mp4").read_text().splitlines()
    width, height = map(int, arguments.split("-s ")[1].split()[0].split("x"))
    assert int(size) == 2 * width * height * 3 and "-r 9" in arguments and width % 2 == height % 2 == 0


def test_one_sequence_of_any_file(tmp_path):
    paths = write_dataset(tmp_path / "raw", subjects=1, repetitions=1, actions=["handshake"])
    found = read_sequence(paths[0])
    assert found.sample.keypoints.shape[0] == 2 and found.layout == NTU
    with StoreWriter(
        tmp_path / "s.h5", layout="ntu25", classes=["handshake"], channels=("x", "y", "z"), units="metres"
    ) as writer:
        found.sample.label = 0
        writer.append(found.sample)
    stored = read_sequence(tmp_path / "s.h5", found.sample.id)
    np.testing.assert_array_equal(stored.sample.keypoints, found.sample.keypoints)
    assert stored.action == "handshake" and stored.num_coordinates == 3
    for path in (paths[0], tmp_path / "s.h5"):
        with pytest.raises(DataError, match="sample: expected an id such as .*, found 'S9'"):
            read_sequence(path, "S9")
    with pytest.raises(DataError, match="suffix: expected .skeleton"):
        read_sequence(tmp_path / "a.mov")
    with pytest.raises(DataError, match="layout: expected 25 joints, found 17"):
        read_sequence(tmp_path / "s.h5", layout="coco17")


@pytest.mark.skipif(not DATA.is_dir(), reason="SKELMAE_TEST_DATA: no real recordings here")
@pytest.mark.parametrize(("name", "layout"), [("jhmdb_coco17.pkl", None), ("nwucla_3d.pkl", "kinect20")])
def test_real_annotations_are_drawn(name, layout, tmp_path):
    sequence = read_sequence(DATA / name, layout=layout)
    show_sequence(sequence, tmp_path / "a.svg")
    assert sequence.sample.id in (tmp_path / "a.svg").read_text()

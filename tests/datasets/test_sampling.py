"""Frame sampling: PYSKL's own test frames, and what holds for any recording."""

import numpy as np
import pytest

from skelmae_datasets.transforms.sampling import (
    grid_places,
    interpolate_frames,
    loop_grid_indices,
    stretch_places,
    uniform_grid_indices,
    uniform_sample_indices,
    uniform_sample_test_indices,
)

GOLDEN = {  # (frames, clip length, clips): frames chosen by PYSKL, run on NumPy 2.4.6
    (30, 48, 2): """
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 0 1 2 3 4 5 6 7
        8 9 10 11 12 13 14 15 16 17 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 0 1 2 3 4 5 6 7 8 9 10
        11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 0 1 2""",
    (5, 8, 10): """
        0 1 2 3 4 0 1 2 1 2 3 4 0 1 2 3 2 3 4 0 1 2 3 4 3 4 0 1 2 3 4 0 4 0 1 2 3 4 0 1 0 1 2 3 4 0 1 2
        1 2 3 4 0 1 2 3 2 3 4 0 1 2 3 4 3 4 0 1 2 3 4 0 4 0 1 2 3 4 0 1""",
    (70, 48, 2): """
        0 1 2 3 5 6 7 8 10 11 13 14 16 18 19 21 23 24 25 26 28 29 31 32 34 36 37 39 41 43 44 45 47 49 51
        52 54 56 57 58 59 60 62 63 64 65 67 68 1 3 5 6 7 9 11 12 13 15 16 18 19 20 21 23 25 27 28 29 30
        31 32 33 35 36 38 39 40 41 43 44 45 47 48 50 51 53 55 57 58 60 61 63 65 67 68 69""",
    (103, 64, 1): """
        0 1 3 5 7 8 9 10 12 13 15 17 19 21 23 25 27 28 30 31 33 34 36 38 40 42 43 45 47 49 50 52 54 56
        58 60 61 63 64 65 67 69 70 72 74 76 77 78 79 81 82 84 85 86 87 89 90 91 92 94 95 97 99 101""",
    (103, 100, 1): """
        0 2 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36
        37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68
        69 70 71 72 73 74 75 76 77 78 80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95 96 97 98 99 100
        101 102""",
    (250, 64, 1): """
        1 5 8 14 15 20 24 29 31 36 39 42 49 52 57 59 62 66 71 77 78 84 87 91 95 100 101 107 109 113 117
        124 125 129 134 136 140 145 149 155 159 162 165 169 172 178 179 185 189 192 197 202 204 208 210
        217 220 225 228 231 235 240 243 246""",
    (300, 100, 1): """
        1 5 7 9 13 16 20 21 25 27 30 35 37 39 42 46 48 53 56 59 62 63 68 69 72 75 78 82 86 87 90 94 97
        101 103 107 109 111 116 119 121 125 127 130 132 137 140 142 145 149 151 153 156 161 164 167 169
        172 174 179 182 183 187 190 194 195 198 203 204 208 212 214 216 220 224 226 229 231 236 237 242
        245 248 250 252 255 260 262 265 267 272 275 278 281 284 285 288 293 296 298""",
    (64, 64, 1): """
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34
        35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63""",
    (128, 64, 1): """
        1 3 4 7 9 10 13 15 16 18 21 22 24 27 28 31 33 34 36 39 41 42 44 46 48 50 53 54 56 58 60 62 65 66
        69 70 72 74 77 79 81 83 84 87 88 91 93 94 96 98 101 102 105 107 109 111 112 115 116 119 120 123
        125 126""",
}


@pytest.mark.parametrize("case", GOLDEN, ids=str)
def test_test_frames_are_those_of_pyskl(case):
    num_frames, length, num_clips = case
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    clips = uniform_sample_test_indices(num_frames, length, num_clips)
    assert clips.shape == (num_clips, length) and clips.dtype == np.int64
    assert clips.ravel().tolist() == [int(number) for number in GOLDEN[case].split()]
    assert (np.random.get_state()[1] == before).all(), "the global generator was touched"


@pytest.mark.parametrize("num_frames", [1, 5, 16, 17, 24, 31, 32, 33, 100, 1000])
@pytest.mark.parametrize("interval", [(1.0, 1.0), (0.5, 1.0), (0.01, 0.01)])
def test_training_clip_is_in_range_in_order_and_repeatable(num_frames, interval):
    for seed in range(20):
        clip = uniform_sample_indices(num_frames, 16, np.random.default_rng(seed), interval)
        assert clip.shape == (16,) and clip.dtype == np.int64
        assert clip.min() >= 0 and clip.max() < num_frames
        assert (clip == uniform_sample_indices(num_frames, 16, np.random.default_rng(seed), interval)).all()
        if num_frames >= 32 and interval == (1.0, 1.0):
            stretches = np.arange(17) * num_frames // 16
            assert ((clip >= stretches[:-1]) & (clip < stretches[1:])).all()
        elif num_frames >= 16 and interval == (1.0, 1.0):
            assert set(np.diff(clip)) <= {1, 2}
        else:
            assert set(np.diff(clip) % num_frames) <= {1 % num_frames} or interval != (1.0, 1.0)


def test_training_clips_reach_every_frame():
    rng = np.random.default_rng(0)
    for num_frames in (5, 20, 50):
        clips = [uniform_sample_indices(num_frames, 16, rng) for _ in range(300)]
        assert set(np.concatenate(clips)) == set(range(num_frames))


def test_interval_samples_a_shorter_window():
    rng = np.random.default_rng(0)
    spans = [np.ptp(uniform_sample_indices(400, 16, rng, (0.25, 0.25))) for _ in range(50)]
    assert max(spans) < 100
    starts = [uniform_sample_indices(400, 16, rng, (0.25, 0.25))[0] for _ in range(200)]
    assert min(starts) < 50 and max(starts) > 250


@pytest.mark.parametrize(("num_frames", "length"), [(1, 8), (7, 8), (8, 8), (9, 8), (333, 64), (10**9, 3)])
def test_grid_is_the_middle_of_equal_stretches(num_frames, length):
    grid = uniform_grid_indices(num_frames, length)
    assert grid.tolist() == [(2 * i + 1) * num_frames // (2 * length) for i in range(length)]
    assert grid.dtype == np.int64 and grid[0] >= 0 and grid[-1] < num_frames


@pytest.mark.parametrize(
    "call",
    [
        lambda: uniform_grid_indices(0, 4),
        lambda: uniform_grid_indices(4, 0),
        lambda: uniform_sample_test_indices(4, 4, 0),
        lambda: uniform_sample_test_indices(0, 4),
        lambda: uniform_sample_indices(0, 4, np.random.default_rng(0)),
        lambda: uniform_sample_indices(4, 4, np.random.default_rng(0), (0.0, 1.0)),
        lambda: uniform_sample_indices(4, 4, np.random.default_rng(0), (0.9, 0.5)),
    ],
)
def test_counts_out_of_range_are_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()


@pytest.mark.parametrize(("num_frames", "length"), [(1, 8), (5, 8), (8, 8), (13, 8), (100, 8)])
def test_stretching_never_loops_and_covers_the_recording(num_frames, length):
    rng = np.random.default_rng(0)
    for _ in range(50):
        whole = stretch_places(num_frames, length, rng)
        part = stretch_places(num_frames, length, rng, (0.5, 0.5))
        for places in (whole, part):
            assert places.shape == (length,) and places.min() >= 0 and places.max() <= num_frames - 1
            assert (np.diff(places) >= 0).all()
        assert whole[0] <= num_frames / length and whole[-1] >= num_frames - 1 - num_frames / length
        assert np.ptp(part) <= max(1, num_frames // 2)


def test_stretching_with_the_middle_place_is_the_grid():
    class Middle:
        def random(self, shape):
            return np.full(shape, 0.5)

        def integers(self, low, high):
            return np.zeros_like(high)

    for num_frames in (3, 8, 21):
        np.testing.assert_allclose(stretch_places(num_frames, 8, Middle()), grid_places(num_frames, 8)[0])


@pytest.mark.parametrize(("num_frames", "length"), [(1, 4), (5, 8), (8, 8), (30, 8), (7, 1)])
def test_places_are_the_middles_of_equal_stretches(num_frames, length):
    places = grid_places(num_frames, length)
    wanted = [min(max((i + 0.5) * num_frames / length - 0.5, 0), num_frames - 1) for i in range(length)]
    np.testing.assert_allclose(places, [wanted])
    if num_frames == length:
        np.testing.assert_array_equal(places, [np.arange(length)])


def test_several_clips_take_other_places_of_the_same_stretches():
    places = grid_places(40, 16, 5)
    assert places.shape == (5, 16) and places.min() >= 0 and places.max() <= 39
    assert (np.diff(places, axis=1) > 0).all() and (np.diff(places, axis=0)[:, 1:-1] > 0).all()
    np.testing.assert_allclose(places[2], grid_places(40, 16)[0])
    np.testing.assert_allclose(np.diff(places[:, 3]), 40 / 16 / 5)
    with pytest.raises(ValueError, match="num_clips: expected at least 1"):
        grid_places(4, 4, 0)


def test_between_frames_joints_seen_in_both_move_along_a_line():
    """One joint on a line, one lost in frame 2, one never seen."""
    recording = np.zeros((1, 4, 3, 3), np.float32)
    recording[0, :, 0] = [[1 + 10 * t, 2 * t, 0.9 - 0.1 * t] for t in range(4)]
    recording[0, [0, 1, 3], 1] = [5, 5, 0.5]
    found = interpolate_frames(recording, np.array([[0.0, 0.25, 1.5, 2.75]]), ("x", "y", "score"))[0, 0]
    np.testing.assert_allclose(found[:, 0], [[1, 0, 0.9], [3.5, 0.5, 0.8], [16, 3, 0.7], [28.5, 5.5, 0.6]], rtol=1e-5)
    np.testing.assert_array_equal(found[:, 1], [[5, 5, 0.5], [5, 5, 0.5], [0, 0, 0], [5, 5, 0.5]])
    assert not found[:, 2].any()


def test_constant_speed_stays_constant():
    recording = np.linspace(1, 12, 12)[None, :, None, None] * np.ones((1, 1, 2, 3))
    for length in (5, 12, 30):
        moved = interpolate_frames(recording, grid_places(12, length), ("x", "y", "z"))[0, 0, :, 0, 0]
        inner = np.diff(moved)[length // 12 + 1 : -length // 12 - 1]
        np.testing.assert_allclose(inner, 12 / length, rtol=1e-4)


def test_whole_numbers_take_frames_as_they_are():
    recording = np.random.default_rng(0).normal(size=(2, 9, 3, 2)).astype("float32")
    frames = np.array([[0, 4, 8], [8, 8, 1]])
    found = interpolate_frames(recording, frames, ("x", "y"))
    np.testing.assert_array_equal(found[:, 1], recording[:, [8, 8, 1]])
    np.testing.assert_array_equal(interpolate_frames(recording, frames.astype(float), ("x", "y")), found)


def test_short_recordings_loop_as_those_of_pyskl_do():
    np.testing.assert_array_equal(loop_grid_indices(3, 7), [0, 1, 2, 0, 1, 2, 0])
    np.testing.assert_array_equal(loop_grid_indices(20, 7), uniform_grid_indices(20, 7))


@pytest.mark.parametrize("sample", [uniform_sample_indices, stretch_places])
def test_many_recordings_get_a_clip_each_as_one_alone_does(sample):
    counts = np.repeat([1, 7, 16, 20, 31, 40, 100], 400)
    clips = sample(counts, 16, np.random.default_rng(0), (0.5, 1.0))
    assert clips.shape == (len(counts), 16)
    assert (clips >= 0).all() and (clips <= counts[:, None] - 1).all()
    for count in np.unique(counts):
        alone = np.stack([sample(count, 16, rng, (0.5, 1.0)) for rng in map(np.random.default_rng, range(400))])
        together = clips[counts == count]
        np.testing.assert_allclose(together.mean(axis=0), alone.mean(axis=0), atol=0.1 * count)
        np.testing.assert_allclose(together.std(axis=0), alone.std(axis=0), atol=0.1 * count)
    assert len(np.unique(clips[counts == 100], axis=0)) > 300

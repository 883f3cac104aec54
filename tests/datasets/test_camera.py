"""The virtual camera: projection by the plain formula, invariants of bodies and limbs, faults as they were measured."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skelmae_datasets import SkeletonStore, convert_pyskl, get_layout
from skelmae_datasets.synthetic import generate_motion
from skelmae_datasets.transforms import body_variation, camera, faults
from skelmae_datasets.transforms.motion_mixing import ARMS, LEGS, exchange_limbs, find_limbs

DATA = Path(os.environ.get("SKELMAE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
NTU, COCO = get_layout("ntu25"), get_layout("coco17")
BODIES = ["coco17", "ntu25", "kinect20", "openpose18", "openpose25", "h36m17", "mediapipe33"]
STILL = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0, "pan": 0.0, "zoom": 0.0, "fill": (0.8, 0.8), "distance": (4.0, 4.0)}
PLAIN = replace(camera.ESTIMATOR.without_faults().without_variation(), **STILL)


def rng(seed=0):
    return np.random.default_rng(seed)


def motion(action="kick", subject=1):
    """(40, 25, 3), facing -z."""
    return generate_motion(action, subject, frames=(40, 40), noise=0)[0]


def lengths(clip, bones):
    return np.stack([np.linalg.norm(clip[..., a, :] - clip[..., b, :], axis=-1) for a, b in bones], -1)


# === The camera ===


def test_projection_is_the_plain_formula():
    x = rng().uniform(1, 2, (5, 7, 3))
    y = camera.project(x, 100.0, (20.0, 30.0))
    for index in np.ndindex(5, 7):
        a, b, depth = x[index]
        np.testing.assert_allclose(y[index], (100 * a / depth + 20, 100 * b / depth + 30))


def test_rotations_are_rotations_and_turn_as_they_say():
    for angles in rng().uniform(-180, 180, (20, 3)):
        turn = camera.rotation(*angles)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(turn) == pytest.approx(1)
    front, left, up = np.eye(3)[[2, 0, 1]]
    np.testing.assert_allclose(camera.rotation(0, 0, 0) @ front, (0, 0, -1), atol=1e-12)  # comes nearer
    np.testing.assert_allclose(camera.rotation(0, 0, 0) @ up, (0, -1, 0), atol=1e-12)
    np.testing.assert_allclose(camera.rotation(90, 0, 0) @ front, (1, 0, 0), atol=1e-12)
    assert (camera.rotation(0, 20, 0) @ up)[2] < 0, "from above the head is nearer than the feet"
    np.testing.assert_allclose(camera.rotation(0, 0, 90) @ left, (0, 1, 0), atol=1e-12)


def test_a_level_camera_far_away_sees_the_front_view_scaled():
    clip = motion()
    found = camera.view(clip, NTU, rng(), replace(PLAIN, distance=(1e4, 1e4)))
    image, front = found.keypoints[..., :2], clip[..., :2] * (1, -1)
    for points in (image, front):
        points -= points.mean((0, 1))
    np.testing.assert_allclose(image, front * (image.std() / front.std()), atol=0.05)


def test_a_near_camera_sees_what_is_near_larger():
    clip = np.zeros((1, 17, 3), "float32")
    clip[0] = rng().normal(size=(17, 3)) * 0.3 + (0, 1, 0)
    clip[0, 13:17] = (-0.5, 0, 0.4), (0.5, 0, 0.4), (-0.5, 0, -0.4), (0.5, 0, -0.4)
    x = camera.view(clip, COCO, rng(), PLAIN).keypoints[0, :, 0]
    middle = clip[0, :, 2].mean()
    assert (x[14] - x[13]) / (x[16] - x[15]) == pytest.approx((4 + 0.4 + middle) / (4 - 0.4 + middle), rel=1e-4)


def test_the_image_is_filled_as_asked():
    image = camera.view(motion(), NTU, rng(), PLAIN).keypoints[..., :2]
    low, high = image.min((0, 1)), image.max((0, 1))
    assert ((high - low) / (320, 240)).max() == pytest.approx(0.8, rel=1e-4)
    np.testing.assert_allclose((low + high) / 2, (160, 120), atol=0.01)


@pytest.mark.parametrize("settings", [camera.ESTIMATOR, camera.SENSOR], ids=["2d", "3d"])
@pytest.mark.parametrize("name", BODIES)
def test_a_view_of_any_body(name, settings):
    layout = get_layout(name)
    clip, other = rng(1).normal(size=(2, 30, layout.num_joints, 3)).astype("float32")
    clip[:, 3], clip[5] = 0, 0
    kept = clip.copy()
    found, again = (camera.view(clip, layout, rng(2), settings, other, length=24) for _ in range(2))
    assert (clip == kept).all(), "the input was changed"
    for one, two in zip(vars(found).values(), vars(again).values(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert found.keypoints.shape == found.target.shape == (24, layout.num_joints, 3)
    assert found.keypoints.dtype == found.target.dtype == np.float32
    assert np.isfinite(found.keypoints).all() and np.isfinite(found.target).all()
    np.testing.assert_array_equal(found.visible, found.keypoints.any(-1))
    assert not found.target[~found.known].any()
    assert not np.array_equal(found.keypoints, camera.view(clip, layout, rng(3), settings, other, length=24).keypoints)


def test_a_sensor_without_faults_only_moves_the_body():
    clip = motion()
    found = camera.view(clip, NTU, rng(), camera.SENSOR.without_faults().without_variation())
    bones = [pair for pair in NTU.bones if pair[0] != pair[1]]
    np.testing.assert_allclose(lengths(found.keypoints, bones), lengths(clip, bones), atol=1e-5)
    settings = replace(camera.SENSOR, **STILL).without_faults().without_variation()
    level = camera.view(clip, NTU, rng(), settings).keypoints
    np.testing.assert_allclose(np.ptp(level[..., 1], axis=1), np.ptp(clip[..., 1], axis=1), atol=1e-5)
    assert level[..., 2].mean() == pytest.approx(4, abs=1e-3), "so far from the sensor"


def test_the_target_is_the_pose_along_the_cameras_axes_whatever_its_distance_and_errors():
    near, far = (camera.view(motion(), NTU, rng(4), replace(PLAIN, yaw=180.0, distance=(d, d))) for d in (3.0, 9.0))
    np.testing.assert_allclose(near.target, far.target, atol=1e-5)
    hips = near.target[:, [NTU.joints.index("left_hip"), NTU.joints.index("right_hip")]]
    np.testing.assert_allclose(hips.mean(1), 0, atol=1e-6)
    assert (near.target**2).sum(-1).mean() == pytest.approx(1, rel=1e-4)
    faulty = camera.view(motion(), NTU, rng(4), replace(camera.ESTIMATOR.without_variation(), **STILL))
    straight = camera.view(motion(), NTU, rng(5), PLAIN)
    np.testing.assert_allclose(faulty.target, straight.target, atol=1e-5)
    assert not np.allclose(faulty.keypoints, straight.keypoints, atol=1)


def test_people_share_the_camera_and_absent_ones_stay_so():
    people = np.stack([motion(), np.zeros_like(motion())])
    found = camera.view(people, NTU, rng(), PLAIN)
    assert found.keypoints.shape == (2, 40, 25, 3) and not found.visible[1].any() and not found.known[1].any()
    np.testing.assert_allclose(found.keypoints[0], camera.view(people[0], NTU, rng(), PLAIN).keypoints, atol=1e-3)
    nobody = camera.view(people[1], NTU, rng())
    assert not nobody.keypoints.any() and not nobody.target.any()


def test_wrong_clips_are_refused():
    with pytest.raises(ValueError, match=r"clip: expected \(T, 25, 3\)"):
        camera.view(np.zeros((4, 17, 3)), NTU, rng())
    with pytest.raises(ValueError, match="dims: expected 2 or 3, found 4"):
        camera.view(motion(), NTU, rng(), replace(PLAIN, dims=4))
    hand = get_layout("hand21")
    with pytest.raises(ValueError, match="hand21: parts: expected a part left_arm"):
        exchange_limbs(np.ones((2, 21, 3)), np.ones((2, 21, 3)), hand)


# === Bodies, pace, limbs ===


def test_nothing_asked_for_changes_nothing():
    clip = motion()
    assert (body_variation.warp_places(40, 40, rng()) == np.arange(40)).all()
    assert body_variation.scale_bones(clip, NTU, rng(), 0.0) is clip
    points = clip[..., :2] + 3
    same = faults.estimator_faults(points, NTU, rng(), 0, 0, 0, 0, 0, 0)
    np.testing.assert_array_equal(same[..., :2], points)
    assert (same[..., 2] == 1).all()
    np.testing.assert_array_equal(faults.sensor_faults(clip, NTU, rng(), 0, 0, 0, 0), clip)
    np.testing.assert_allclose(exchange_limbs(clip, clip, NTU, (*ARMS, *LEGS)), clip, atol=1e-5)


@pytest.mark.parametrize("name", BODIES)
def test_the_mirror_twice_is_the_clip(name):
    layout = get_layout(name)
    clip = rng().normal(size=(4, layout.num_joints, 3))
    once = body_variation.mirror_body(clip, layout)
    np.testing.assert_array_equal(body_variation.mirror_body(once, layout), clip)
    np.testing.assert_array_equal(once[:, layout.mirror, 0], -clip[..., 0])


@pytest.mark.parametrize("name", BODIES)
def test_bones_change_their_length_and_not_their_direction(name):
    layout = get_layout(name)
    clip = rng().normal(size=(6, layout.num_joints, 3))
    changed = body_variation.scale_bones(clip, layout, rng(1), 0.2)
    bones = [(joint, up) for joint, up in enumerate(body_variation.bone_parents(layout)) if joint != up]
    assert len(bones) == layout.num_joints - 1
    ratio = lengths(changed, bones) / lengths(clip, bones)
    np.testing.assert_allclose(ratio, ratio[:1].repeat(6, 0), err_msg="the same in every frame")
    assert ratio.min() >= 0.8 and ratio.max() <= 1.2 and np.ptp(ratio) > 0.05
    for joint, up in bones:
        one, two = changed[:, joint] - changed[:, up], clip[:, joint] - clip[:, up]
        np.testing.assert_allclose(np.cross(one, two), 0, atol=1e-9)
    np.testing.assert_allclose(changed[:, layout.root], clip[:, layout.root])
    both = dict(zip([joint for joint, _ in bones], ratio[0], strict=True))
    for left, right in layout.mirror_pairs:
        assert both[left] == pytest.approx(both[right])


def test_a_pace_rises_within_the_recording():
    for seed in range(20):
        places = body_variation.warp_places(100, 64, rng(seed), (0.5, 2.0), 0.5)
        assert len(places) == 64 and places[0] >= 0 and places[-1] <= 99.0001 and (np.diff(places) > 0).all()
    fast = body_variation.warp_places(100, 21, rng(), (2.0, 2.0))
    np.testing.assert_allclose(np.diff(fast), 2)
    assert (body_variation.warp_places(1, 5, rng()) == 0).all()
    with pytest.raises(ValueError, match="0 < speed"):
        body_variation.warp_places(9, 5, rng(), (0.0, 1.0))


@pytest.mark.parametrize("parts", [ARMS, LEGS, (*ARMS, *LEGS)], ids=["arms", "legs", "all"])
def test_exchanged_limbs_keep_their_bones_and_hang_where_they_should(parts):
    clip, other = motion("kick", 1), motion("wave", 2)
    mixed, limbs = exchange_limbs(clip, other, NTU, parts), find_limbs(NTU)
    taken = [joint for part in parts for joint in limbs[part][1]]
    rest = np.setdiff1d(np.arange(25), taken)
    np.testing.assert_array_equal(mixed[:, rest], clip[:, rest])
    within = [pair for pair in NTU.edges if pair[0] in taken or pair[1] in taken]
    np.testing.assert_allclose(lengths(mixed, within), lengths(other, within), atol=1e-5)


def test_exchanged_arms_move_with_the_torso_and_legs_stand_upright():
    clip, other = motion("kick", 1), motion("wave", 2)
    turned = other @ camera.rotation(70, 0, 0) + (1, 0.2, 3)
    for parts in (ARMS, LEGS):
        upright = camera.rotation(70, 0, 0).T @ np.diag([1, -1, -1])  # a turn about the vertical alone
        again = exchange_limbs(clip, (other @ upright + (1, 0.2, 3)).astype("float32"), NTU, parts)
        np.testing.assert_allclose(again, exchange_limbs(clip, other, NTU, parts), atol=1e-5)
    tilted = exchange_limbs(clip, turned.astype("float32"), NTU, ARMS)
    np.testing.assert_allclose(tilted, exchange_limbs(clip, other, NTU, ARMS), atol=1e-5)
    clip[:, NTU.joints.index("left_shoulder")] = 0
    assert not exchange_limbs(clip, other, NTU, ARMS)[:, find_limbs(NTU)["right_arm"][1]].any()


# === Faults ===


def test_scores_tell_the_size_of_the_errors():
    points = np.tile(rng().uniform(0, 100, (17, 2)), (64, 1, 1))
    found = np.stack([faults.estimator_faults(points, COCO, rng(seed), gaps=0, swaps=0) for seed in range(60)])
    seen, scores = found[..., 2] > 0, found[..., 2]
    errors = np.linalg.norm(found[..., :2] - points, axis=-1)
    sizes = [
        np.median(errors[seen & (scores > low) & (scores <= high)]) for low, high in ((0.9, 1), (0.5, 0.9), (0, 0.5))
    ]
    assert sizes[0] < sizes[1] < sizes[2]
    assert scores.min() >= 0 and scores.max() <= 1 and not found[~seen].any()


def test_runs_cover_the_share_asked_for():
    found = faults.draw_runs(rng(), 200, 400, 0.05, faults.LOSSES)
    assert 0.03 < found.mean() < 0.06
    starts = np.count_nonzero(np.diff(found.astype(int), axis=1) == 1)
    assert 3 < found.sum() / starts < 6, "about as long as measured"


def test_swaps_exchange_left_and_right_only():
    points = rng().uniform(1, 9, (40, 17, 2))
    found = faults.estimator_faults(points, COCO, rng(1), 0, 0, 0, 0, 1.0, 0)[..., :2].astype(float)
    own = np.isclose(found, points).all(-1)
    crossed = np.isclose(found, points[:, COCO.mirror]).all(-1)
    assert (own | crossed).all() and 0 < (~own).mean() < 0.5 and own[:, :5].all()


def test_sensor_jitter_grows_with_the_distance():
    near, far = (np.full((200, 25, 3), depth) for depth in (1.5, 4.0))
    sizes = [(faults.sensor_faults(x, NTU, rng(), losses=0) - x).std() for x in (near, far)]
    assert sizes[1] / sizes[0] == pytest.approx((4 / 1.5) ** 1.5, rel=1e-3)


def test_parts_and_sensor_joints_are_lost_in_runs():
    points = np.ones((300, 17, 2))
    found = faults.estimator_faults(points, COCO, rng(), 0, 0, 0, 0, 0, losses=0.2)
    lost = found[..., 2] == 0
    assert 0.1 < lost.mean() < 0.3
    for members in COCO.parts.values():
        assert (lost[:, members] == lost[:, members[:1]]).all()
    assert 0.005 < (faults.sensor_faults(np.ones((600, 25, 3)), NTU, rng()) == 0).mean() < 0.04


@pytest.mark.parametrize("name", BODIES)
def test_every_joint_has_its_kind(name):
    kinds = {faults.joint_kind(joint) for joint in get_layout(name).joints}
    assert kinds == set(faults.SCORES)
    assert faults.joint_kind("left_foot_index") == "ankle" and faults.joint_kind("right_thumb") == "wrist"


@pytest.fixture(scope="module")
def jhmdb(tmp_path_factory):
    if not (DATA / "jhmdb_coco17.pkl").is_file():
        pytest.skip(f"no {DATA / 'jhmdb_coco17.pkl'}")
    path = tmp_path_factory.mktemp("jhmdb") / "jhmdb.h5"
    convert_pyskl(DATA / "jhmdb_coco17.pkl", path, layout="coco17")
    with SkeletonStore(path) as store:
        return [store.read(index)[0] for index in store.select("train1")]


def lost_shares(clips):
    """Per joint, of the frames with somebody, how many it is not seen in; and quantiles of the scores."""
    frames = np.concatenate([clip[clip[..., 2].any(1)] for clip in clips])
    return (frames[..., 2] == 0).mean(0), np.quantile(frames[..., 2], [0.05, 0.25, 0.5, 0.75], axis=0)


def test_faults_are_those_of_jhmdb(jhmdb):
    points = rng().uniform(0, 100, (34, 17, 2))
    made = [faults.estimator_faults(points, COCO, rng(seed)) for seed in range(600)]
    (lost, scores), (real, real_scores) = lost_shares(made), lost_shares(jhmdb)
    np.testing.assert_allclose(lost, real, atol=0.04)
    np.testing.assert_allclose(scores[:, 5:], real_scores[:, 5:], atol=0.12)
    empty = np.mean([~clip[..., 2].any(1) for clip in made])
    some = [clip for clip in jhmdb if clip.any()]
    assert empty == pytest.approx(np.concatenate([~clip[..., 2].any(1) for clip in some]).mean(), abs=0.03)
    ankles = [
        np.mean([(c[c.any((1, 2))][:, 15:, 2] == 0).mean() > 0.5 for c in clips if c.any()]) for clips in (made, some)
    ]
    assert ankles[0] == pytest.approx(ankles[1], abs=0.05)

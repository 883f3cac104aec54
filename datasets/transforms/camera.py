"""A virtual camera: clips as a 2D pose estimator or a depth sensor would see a 3D recording from anywhere.

The axes of a recording are those of the ground: metres, y up, right-handed. A camera's are x to the right and y down in
the image, z away from it; a depth sensor's are Kinect's, x to its left, y up, z away from it.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from .body_variation import mirror_body, scale_bones, warp_places
from .faults import estimator_faults, sensor_faults
from .motion_mixing import ARMS, LEGS, exchange_limbs, find_limbs
from .presence import is_seen, mask_absent
from .sampling import interpolate_frames

_NEAREST = 0.5  # metres from the camera to the nearest joint, at least


@dataclass(frozen=True)
class ViewSettings:
    """What `view` draws, and from where to where.

    Angles are degrees and largest values either way; pairs are (least, most). The defaults are a hand-held camera of
    JHMDB's size around a standing person; Pr-VIPE's cameras have yaw 180, pitch 30, roll 30.

    Attributes:
        dims: 2, a pose estimator's clip with scores, or 3, a depth sensor's.
        yaw, pitch, roll: turn about the vertical, tilt up or down, turn in the image.
        distance: metres from the camera to the middle of the clip, even on a logarithmic scale; more where a
            joint would come nearer than half a metre.
        image_size: (height, width), pixels; 2D only.
        fill: share of the image's height or width, the tighter, that all joints of the clip take; 2D only.
        pan, zoom: largest shift of the image from its middle, as a share of its width, and largest logarithm of the
            magnification; both go slowly from one value to another; 2D only.
        bone_lengths: bones are shorter or longer by this share at most.
        mirror: probability of the mirror image.
        speed: frames of the recording per frame of the clip. warp: spread of the pace within the clip.
        exchange: probability that arms or legs are those of the other clip, where one is given.
        jitter, slow_jitter, scored, gaps, swaps, losses: as `faults.estimator_faults`, and in 3D `sensor_faults`.
    """

    dims: int = 2
    yaw: float = 180.0
    pitch: float = 30.0
    roll: float = 5.0
    distance: tuple[float, float] = (2.5, 8.0)
    image_size: tuple[int, int] = (240, 320)
    fill: tuple[float, float] = (0.5, 1.1)
    pan: float = 0.1
    zoom: float = 0.15
    bone_lengths: float = 0.1
    mirror: float = 0.5
    speed: tuple[float, float] = (0.75, 1.33)
    warp: float = 0.2
    exchange: float = 0.5
    jitter: float = 1.0
    slow_jitter: float = 1.0
    scored: float = 1.0
    gaps: float = 0.25
    swaps: float = 0.24
    losses: float = 0.0

    def without_faults(self):
        """The same camera, with an estimator or sensor that makes no errors."""
        return replace(self, jitter=0.0, slow_jitter=0.0, scored=0.0, gaps=0.0, swaps=0.0, losses=0.0)

    def without_variation(self):
        """The same camera and faults; body, pace and side as recorded."""
        return replace(self, bone_lengths=0.0, mirror=0.0, speed=(1.0, 1.0), warp=0.0, exchange=0.0)


ESTIMATOR = ViewSettings()
SENSOR = ViewSettings(dims=3, pitch=10.0, roll=3.0, distance=(1.5, 4.5), gaps=0.0, losses=0.017)
"""A depth sensor that stands nearly level, for 3D layouts."""


@dataclass
class View:
    """One clip as a camera saw it.

    Attributes:
        keypoints: (..., T, V, 3) float32, with errors; in 2D x, y in pixels, y down, and score; in 3D x, y, z in
            metres. Joints not seen are zero.
        target: (..., T, V, 3) float32, the true places along the camera's axes, without errors; relative to the middle
            of the hips (to the layout's root where it has no legs), the rms distance from which is 1 over the clip.
        visible: (..., T, V) bool, True = the joint is in keypoints.
        known: (..., T, V) bool, True = the joint has a target.
    """

    keypoints: np.ndarray
    target: np.ndarray
    visible: np.ndarray
    known: np.ndarray


def view(clip, layout, generator, settings=ESTIMATOR, other=None, length=None):
    """See a 3D clip by a camera drawn at random, and by an estimator or sensor that makes errors.

    Args:
        clip: (T, V, 3) or of several people (M, T, V, 3), metres, y up; absent joints at zero.
        layout: `SkeletonLayout` of the V joints.
        generator: `numpy.random.Generator`; the same gives the same view.
        settings: ViewSettings.
        other: a clip of the same kind with as many people, whose limbs may be taken.
        length: frames of the view; by default those of the clip.

    Returns:
        View, with people where the clip has them.

    Raises:
        ValueError: a clip of another shape, dims that are not 2 or 3, a layout without limbs to exchange.
    """
    found = see(vary(_people(clip, layout), layout, generator, settings, other, length), layout, generator, settings)
    return found if np.ndim(clip) == 4 else View(*(values[0] for values in vars(found).values()))


def vary(clip, layout, generator, settings=ESTIMATOR, other=None, length=None):
    """The first half of `view`: another pace, limbs of another clip, other bones, the mirror image.

    Several cameras can `see` what it gives. Arguments and errors as those of `view`.

    Returns:
        (M, length, V, 3) float32, metres; M = 1 where the clip has one person.
    """
    points = _people(clip, layout)
    length = points.shape[1] if length is None else length
    points = _at_pace(points, length, generator, settings)
    if other is not None and generator.random() < settings.exchange:
        donor = _people(other, layout)
        if len(donor) != len(points):
            raise ValueError(f"other: expected {len(points)} people, found {len(donor)}")
        parts = ARMS if generator.random() < 0.5 else LEGS
        points = exchange_limbs(points, _at_pace(donor, length, generator, settings), layout, parts)
    points = scale_bones(points, layout, generator, settings.bone_lengths)
    return mirror_body(points, layout) if generator.random() < settings.mirror else points


def see(clip, layout, generator, settings=ESTIMATOR):
    """The second half of `view`: the clip as it is by a camera drawn at random, with an estimator's or sensor's errors.

    Arguments and errors as those of `view`.

    Returns:
        View, with people where the clip has them.
    """
    if settings.dims not in (2, 3):
        raise ValueError(f"dims: expected 2 or 3, found {settings.dims}")
    points = _people(clip, layout)
    points, seen = _from_camera(points, generator, settings)
    if settings.dims == 2:
        faults, errors = estimator_faults, {"scored": settings.scored, "swaps": settings.swaps}
        places = _to_image(points, seen, generator, settings)
    else:
        faults, errors, places = sensor_faults, {}, points
    errors |= {name: getattr(settings, name) for name in ("jitter", "slow_jitter", "gaps", "losses")}
    keypoints = np.stack([faults(person, layout, generator, **errors) for person in places])
    target, known = relative_to_hips(points, layout)
    found = View(keypoints, target, is_seen(keypoints), known)
    return found if np.ndim(clip) == 4 else View(*(values[0] for values in vars(found).values()))


def rotation(yaw, pitch, roll):
    """(3, 3) matrix from the axes of the ground to a camera's; angles in degrees.

    The camera is at yaw 0 in front of someone who looks along +z, turns round the person, looks down from above
    where pitch is positive, and is turned about its own axis by roll at last.
    """
    angles = [math.radians(angle) for angle in (yaw, pitch, roll)]
    (cy, cp, cr), (sy, sp, sr) = map(math.cos, angles), map(math.sin, angles)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    tilt = np.array([[1, 0, 0], [0, -cp, sp], [0, -sp, -cp]])  # and y down, z away
    twist = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return twist @ tilt @ turn


def project(points, focal, centre):
    """Perspective projection: focal * (x, y) / z + centre.

    Args:
        points: (..., 3) along the camera's axes, z > 0.
        focal: focal length in pixels, a number or an array that fits (...).
        centre: x and y in pixels of where the camera's axis meets the image, each as focal.

    Returns:
        (..., 2) pixels.
    """
    scale = focal / points[..., 2]
    image = np.empty((*points.shape[:-1], 2), points.dtype)
    for axis in (0, 1):
        image[..., axis] = points[..., axis] * scale + centre[axis]
    return image


def relative_to_hips(points, layout):
    """Places relative to the middle of the hips in each frame, whose rms distance from it is 1 over the clip.

    Args:
        points: (M, T, V, 3), absent joints at zero. layout: its root stands for the hips where it has no legs.

    Returns:
        (M, T, V, 3) float32, zero where unknown, and which are known, (M, T, V) bool: in frames with the hips.
    """
    try:
        limbs = find_limbs(layout)
        hips = [limbs[part][0] for part in LEGS]
    except ValueError:
        hips = [layout.root]
    seen = is_seen(points)
    known = seen if seen.all() else seen & seen[..., hips].all(-1, keepdims=True)
    middle = points[..., hips[0], :] if len(hips) == 1 else (points[..., hips[0], :] + points[..., hips[1], :]) / 2
    offsets = mask_absent(points - middle[..., None, :], known)
    scale = np.sqrt(np.vdot(offsets, offsets) / max(np.count_nonzero(known), 1))
    return (offsets / (scale or 1)).astype(np.float32, copy=False), known


def _people(clip, layout):
    clip = np.asarray(clip, np.float32)
    if clip.ndim not in (3, 4) or 0 in clip.shape or clip.shape[-2:] != (layout.num_joints, 3):
        raise ValueError(
            f"clip: expected (T, {layout.num_joints}, 3) or (M, T, {layout.num_joints}, 3), found {clip.shape}"
        )
    return clip if clip.ndim == 4 else clip[None]


def _at_pace(points, length, generator, settings):
    places = warp_places(points.shape[1], length, generator, settings.speed, settings.warp)
    if not is_seen(points).all():
        return interpolate_frames(points, places[None], ("x", "y", "z"))[:, 0]
    before = places.astype(np.int64)
    one, after = points[:, before], points[:, np.minimum(before + 1, points.shape[1] - 1)]
    return one + (places - before).astype(np.float32)[:, None, None] * (after - one)


def _from_camera(points, generator, settings):
    """The points along the camera's axes, absent ones at zero, and which are there."""
    angles = [generator.uniform(-most, most) for most in (settings.yaw, settings.pitch, settings.roll)]
    turn = rotation(*angles)
    if settings.dims == 3:
        turn[:2] *= -1  # Kinect's axes
    seen = is_seen(points)
    flat = points.reshape(-1, 3)
    middle = flat.sum(0) / max(np.count_nonzero(seen), 1)
    turned = (flat @ turn.T.astype(np.float32) - (turn @ middle).astype(np.float32)).reshape(points.shape)
    turned = mask_absent(turned, seen)
    distance = np.exp(generator.uniform(*np.log(settings.distance)))
    turned[..., 2] += max(distance, _NEAREST - turned[..., 2].min())
    return mask_absent(turned, seen), seen


def _to_image(points, seen, generator, settings):
    """Pixels (M, T, V, 2) of points along the camera's axes."""
    if not seen.any():
        return points[..., :2]
    height, width = settings.image_size
    if not seen.all():
        points = np.where(seen[..., None], points, np.float32([0, 0, 1]))
    x, y = (points[..., axis][seen] / points[..., 2][seen] for axis in (0, 1))
    box = np.array([[x.min(), y.min()], [x.max(), y.max()]])
    across, down = np.maximum(box[1] - box[0], 1e-3)
    focal = generator.uniform(*settings.fill) * min(width / across, height / down)
    way = np.linspace(0, 1, points.shape[1])
    way = way * way * (3 - 2 * way)  # slow at both ends
    first, last = generator.uniform(-1, 1, (2, 3, 1))
    zoom, right, below = first + (last - first) * way  # (T,) each
    focal = focal * np.exp(settings.zoom * zoom)
    shifts = settings.pan * width * np.stack([right, below])
    centre = np.array([[width / 2], [height / 2]]) + shifts - focal * box.mean(0)[:, None]
    focal, (right, below) = focal.astype(np.float32)[:, None], centre.astype(np.float32)[..., None]
    return mask_absent(project(points, focal, (right, below)), seen)

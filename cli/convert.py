"""`skelmae convert`: recordings of any readable kind to one store."""

import click

from . import options
from .conversion import run_conversion


@options.command(
    "convert", goes_on=f"with files of estimators or .skeleton files, and without --to and --fps, {options.RESUME}"
)
@click.argument("inputs", type=options.PATH, nargs=-1, required=True, metavar="INPUT...")
@options.store_output
@options.layout_option("the form's own, or by joint count")
@options.people_option("the best first")
@options.to_option
@click.option(
    "--fps",
    type=options.FloatRange(0, min_open=True),
    help="Frames per second of OUT.h5: recordings whose own rate is known and another are resampled.",
)
@click.option(
    "--source-fps",
    type=options.FloatRange(0, min_open=True),
    help="Frames per second of the recordings, where they do not tell it or wrongly.",
)
@options.classes_option
@click.option(
    "--labels",
    metavar="folders|FILE.csv|REGEX",
    help="Where labels stand: in the first folder's name, in a CSV of file,label[,subject,split], or in the group "
    "(?P<label>...) of a regular expression that is searched for in names. A CSV with start,end (seconds) or "
    "start_frame,end_frame too makes a sequence of each interval.",
)
@click.option(
    "--min-score", type=options.FloatRange(0, 1), help="Joints scored lower count as not seen (default: 0.01 or lower)."
)
@options.image_size_option
@options.axes_options
@options.channels_option
@click.option("--workers", type=click.IntRange(1), help="Processes that read many files (default: 1).")
@options.strict_flag
@click.option("--resume", is_flag=True, help="Continue a killed conversion of many files with the same options.")
@options.force_flag
@options.json_flag
def command(inputs, output, as_json, **chosen):
    """Read files and folders of any kind into OUT.h5, and say what they were taken for.

    OpenPose, YOLO-pose, MediaPipe, AlphaPose, mmpose, COCO and Kinetics-skeleton files, arrays and tables of a clip,
    TRC, BVH, C3D and joints of SMPL bodies, SLEAP and DeepLabCut, and all that the other convert commands read. People
    who are found frame by frame are joined over time.

    \b
    Example:
      skelmae convert openpose_json own.h5 --fps 30
      skelmae convert clips own.h5 --labels folders --image-size 1920,1080
      skelmae convert results.json own.h5 --labels labels.csv --min-score 0.3
      skelmae convert hour.json clips.h5 --labels intervals.csv --fps 30
    """
    run_conversion("convert", list(inputs), output, as_json, **chosen)

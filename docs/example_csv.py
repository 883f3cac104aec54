"""A table of joints of synthetic recordings, eleven joints in metres: python docs/example_csv.py OUT.csv"""

import csv
import sys

from skelmae_datasets.synthetic import generate_motion

JOINTS = {
    "head": 3,
    "neck": 2,
    "pelvis": 0,
    "left_elbow": 5,
    "left_hand": 7,
    "right_elbow": 9,
    "right_hand": 11,
    "left_knee": 13,
    "left_foot": 15,
    "right_knee": 17,
    "right_foot": 19,
}


def main(output):
    with open(output, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["sample", "frame", "joint", "x", "y", "z", "label", "subject", "split"])
        for action in ("wave", "clap", "squat", "walk"):
            for subject in range(1, 7):
                for repetition in (1, 2, 3):
                    body = generate_motion(action, subject, repetition, frames=(24, 40))[0]  # (T, 25, 3)
                    for frame, points in enumerate(body):
                        for name, joint in JOINTS.items():
                            xyz = [f"{value:.4f}" for value in points[joint]]
                            split = "train" if subject <= 4 else "test"
                            sample = f"{action}-{subject}-{repetition}"
                            table.writerow([sample, frame, name, *xyz, action, subject, split])


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Whether TensorBoard itself reads a folder of event files; ends with status 1 if not.

Prints every tag with its steps. There must be a scalar, an image and a histogram at least; the steps of a tag must ascend, as they do
after a resumed run only if what it repeats is purged; an image must be a PNG of the size that it claims, and a histogram's buckets must
hold as many values as it counts. TensorBoard has two readers, one that keeps the kinds apart and the server's, which makes tensors of
all: the steps must ascend in both.

    pip install tensorboard
    python3 scripts/check_tensorboard.py FOLDER
"""

import argparse
import io
import os
import sys

import tensorboard
from PIL import Image
from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator

# Keep every event of a kind instead of a sample of them.
KEEP_ALL = {"scalars": 0, "images": 0, "histograms": 0, "tensors": 0}


def check_image(event):
    with Image.open(io.BytesIO(event.encoded_image_string)) as image:
        image.load()
        if (image.format, image.size) != ("PNG", (event.width, event.height)):
            return f"a {image.format} of {image.size}, not a PNG of {(event.width, event.height)}"


def check_histogram(event):
    value = event.histogram_value
    if sum(value.bucket) != value.num:
        return f"{sum(value.bucket)} values in buckets, {value.num} in all"
    if len(value.bucket) != len(value.bucket_limit) or value.bucket_limit != sorted(set(value.bucket_limit)):
        return "limits of buckets do not ascend"


def check_steps(events):
    steps = [event.step for event in events]
    if steps != sorted(set(steps)):
        yield f"steps do not ascend: {steps}"


def check_each(events, check):
    for event in events:
        try:
            fault = check(event)
        except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for a broken PNG
            fault = str(error)
        if fault:
            yield f"step {event.step}: {fault}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    folder = parser.parse_args().folder
    if not os.path.isdir(folder):
        sys.exit(f"check-tensorboard: {folder} is no folder")
    print(f"tensorboard {tensorboard.__version__}")
    faults = []
    served = plugin_event_accumulator.EventAccumulator(folder, size_guidance=KEEP_ALL).Reload()
    for tag in served.Tags()["tensors"]:
        events = served.Tensors(tag)
        plugin = served.SummaryMetadata(tag).plugin_data.plugin_name
        print(f"{plugin} {tag}: {len(events)} at steps {events[0].step} to {events[-1].step}")
        faults += [f"{tag}, as served: {fault}" for fault in check_steps(events)]
    loaded = event_accumulator.EventAccumulator(folder, size_guidance=KEEP_ALL).Reload()
    kinds = {
        "scalars": (loaded.Scalars, None),
        "images": (loaded.Images, check_image),
        "histograms": (loaded.Histograms, check_histogram),
    }
    for kind, (events_of, check) in kinds.items():
        tags = loaded.Tags()[kind]
        if not tags:
            faults.append(f"no {kind}")
        for tag in tags:
            events = events_of(tag)
            faults += [f"{tag}: {fault}" for fault in check_steps(events)]
            faults += [f"{tag}: {fault}" for fault in (check_each(events, check) if check else [])]
    for fault in faults:
        print(f"check-tensorboard: {fault}", file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()

"""From a data folder to the batches of a run: records, images, order; no torch."""

from adora_mm.data.images import (
    ImageError,
    check_images,
    image_fault,
    image_size,
    open_image,
)
from adora_mm.data.messages import Messages, embedded_image, read_messages
from adora_mm.data.problems import (
    FORMAT_VERSION,
    Fingerprint,
    fingerprint,
    inside,
    load_problems,
    problem_record,
)
from adora_mm.data.sampler import ProblemSampler, mix

__all__ = [
    "FORMAT_VERSION",
    "Fingerprint",
    "ImageError",
    "Messages",
    "ProblemSampler",
    "check_images",
    "embedded_image",
    "fingerprint",
    "image_fault",
    "image_size",
    "inside",
    "load_problems",
    "mix",
    "open_image",
    "problem_record",
    "read_messages",
]

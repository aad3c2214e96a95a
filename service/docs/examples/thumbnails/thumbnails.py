"""Makes thumbnails in processes, so that neither their work nor their crashes touch the service."""

import os
import tempfile
from pathlib import Path

import msgspec
from PIL import Image, UnidentifiedImageError

from job_service import Discard, Registry, Retry

registry = Registry()

# In each process, since that imports this module: what is larger would fill the memory.
Image.MAX_IMAGE_PIXELS = 50_000_000


class Thumbnail(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    target: str
    pixels: int = 256


@registry.job(
    "thumbnail",
    runs_in="process",
    timeout=30,  # the process is killed then, whatever it does
    concurrency=max(1, (os.cpu_count() or 2) - 1),
    retry=Retry(max_retries=2, give_up_on=(FileNotFoundError, Image.DecompressionBombError)),
)
def make_thumbnail(thumbnail: Thumbnail) -> list[int]:
    try:
        with Image.open(thumbnail.source) as image:
            image.thumbnail((thumbnail.pixels, thumbnail.pixels))
            save_as_a_whole(image.convert("RGB"), Path(thumbnail.target))
            return list(image.size)
    except UnidentifiedImageError as error:
        raise Discard("it is no picture") from error


def save_as_a_whole(image: Image.Image, target: Path) -> None:
    """Nobody ever sees half a picture, even if this process is killed, or runs twice."""
    descriptor, unfinished = tempfile.mkstemp(dir=target.parent, suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            image.save(file, "JPEG", quality=85)
        Path(unfinished).replace(target)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise

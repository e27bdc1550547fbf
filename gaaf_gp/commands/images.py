"""Where the commands' images come from: memory, or files that are read while a network trains."""

from __future__ import annotations

from typing import Any

from gaaf_gp.data import AnyData, load_data
from gaaf_gp.errors import GaafError
from gaaf_gp.streamed_data import stream_data


def streams(data: str, stream: bool | None) -> bool:
    """Return whether images are streamed: as the user says, and for ImageNet where the user says nothing."""
    return data == "imagenet" if stream is None else stream


def loading_settings(streamed: bool, workers: int | None, image_size: int | None, download: bool) -> dict[str, Any]:
    """Return the settings that only one of both ways to load images has.

    Raises:
        GaafError: one of the other way is given.
    """
    if not streamed:
        if workers is not None:
            raise GaafError(f"stream workers decode streamed images, got {workers} of them without: add --stream")
        return {"image_size": image_size, "download": download}
    if download:
        raise GaafError("streamed images must be there, and cannot be downloaded: leave --download out")
    return {"workers": workers or 0, **({} if image_size is None else {"image_size": image_size})}


def open_images(data: str, streamed: bool, **settings: Any) -> AnyData:
    """Return the images of a data set or folder; the settings are those of either way to load them.

    Raises:
        GaafError: what :func:`gaaf_gp.load_data` or :func:`gaaf_gp.streamed_data.stream_data` refuses.
    """
    return stream_data(data, **settings) if streamed else load_data(data, **settings)

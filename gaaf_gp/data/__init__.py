"""Data: image data sets as tensors or as files that are streamed.

- ``load_data``: a data set by name or folder -> train and validation split
- ``open_test_split``: the test split, for the final report only
- ``Data``: train and validation images with their normalization
- ``Split``: images and labels on one device
- ``AnyData``: ``Data`` or ``StreamedData``
- ``AnySplit``: ``Split`` or ``FileSplit``
- ``stream_data``: a folder too large for memory -> train and validation files
- ``StreamedData``: what ``stream_data`` returns
- ``FileSplit``: image files and labels, not decoded
- ``DATASETS``: data sets by name
- ``split_places``: the places of training and validation images
- ``normalize``: uint8 images -> float32 with mean 0 and deviation 1
- ``channel_statistics``: mean and deviation of each channel
"""

from gaaf_gp.data.augment import channel_statistics, normalize
from gaaf_gp.data.load import AnyData, AnySplit, Data, Split, load_data, open_test_split
from gaaf_gp.data.registry import DATASETS
from gaaf_gp.data.splitting import split_places
from gaaf_gp.data.streamed import FileSplit, StreamedData, stream_data

__all__ = [
    "DATASETS",
    "AnyData",
    "AnySplit",
    "Data",
    "FileSplit",
    "Split",
    "StreamedData",
    "channel_statistics",
    "load_data",
    "normalize",
    "open_test_split",
    "split_places",
    "stream_data",
]

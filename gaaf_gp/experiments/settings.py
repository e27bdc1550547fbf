"""The settings of a run: one list that the checks, the command line and the report's "repeat this" are made of.

A field of :class:`Settings` carries an :class:`Option`: its help, the heading that it stands under, and how it is given
to ``gaaf-gp evolve``. Fields that hold several settings (limits, proxy, data_settings) carry an option for each of
these. :data:`OPTIONS` has all of them.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from gaaf_gp.binary import NETWORKS
from gaaf_gp.data.registry import DATASETS, existing_folder
from gaaf_gp.errors import GaafError, listed
from gaaf_gp.search.bloat import CONTROLS, SEARCH_DEFAULT, SIZES
from gaaf_gp.training.proxy import DEFAULT_EPOCHS
from gaaf_gp.trees.generation import DEFAULT_LIMITS, Limits
from gaaf_gp.util import user_code
from gaaf_gp.util.checks import (
    LARGEST,
    check_text,
    number,
    positive_number,
    probability,
    whole_fields,
    whole_number,
)
from gaaf_gp.util.devices import PRECISIONS, available_cores
from gaaf_gp.util.files import read_mapping

MOST_NUMBER = 2**63
"""Numbers of settings that are read are smaller; others would end as an overflow somewhere later."""
MOST_SEED = LARGEST // 1_000_000_000 - 2
"""Seeds of confirmations are up to a thousand million times as large, and must fit in 64 bits."""
IMAGES, TRAINING, SEARCH, TREES, CONFIRMATION, RUNNING = (
    "Images",
    "Training of a candidate",
    "Search",
    "Trees",
    "Confirmation",
    "How the run is done (the result does not depend on it)",
)
"""Headings of options, in the order of ``gaaf-gp evolve --help``."""
PANELS = (IMAGES, TRAINING, SEARCH, TREES, CONFIRMATION, RUNNING)


@dataclass(frozen=True, kw_only=True)
class Option:
    """How a setting is given on the command line.

    Attributes:
        setting: its name in :class:`Settings`; an entry of a field has a dot, as in "proxy.epochs".
        kind: type of its value.
        default: its value without the option.
        help: what it is.
        panel: one of :data:`PANELS`.
        name: of the option; empty for the name of the setting.
        shown: the default in words, where the value itself does not say it.
        least: of a whole number.
        path: whether it names a file or folder.
    """

    setting: str = ""
    kind: Any = str
    default: Any = None
    help: str
    panel: str
    name: str = ""
    shown: str | None = None
    least: int | None = None
    path: bool = False

    @property
    def decides(self) -> bool:
        """Whether the result of a run depends on it."""
        return self.panel != RUNNING

    @property
    def parameter(self) -> str:
        """Name of the option as a Python identifier, such as ``max_height``."""
        return self.name or self.setting.rpartition(".")[2]

    @property
    def flag(self) -> str:
        """The option as it is written, such as ``--max-height``; of a switch the one that turns it on."""
        return "--" + self.parameter.replace("_", "-")

    def words(self, value: Any) -> list[str]:
        """Return the words of a command line, quoted for a shell, that give this value; none for the default."""
        if value is None or value == self.default:
            return []
        if isinstance(value, bool):
            return [self.flag if value else f"--no-{self.flag.removeprefix('--')}"]
        if isinstance(value, dict):
            return [f"{self.flag} {shlex.quote(json.dumps(value))}"]
        values = value if isinstance(value, list | tuple) else [value]
        return [f"{self.flag} {shlex.quote(str(one))}" for one in values]


def _option(value: Any, text: str, panel: str, **more: Any) -> Any:
    """Return a field with its option; ``value`` is its default, or a function that makes it."""
    return field(
        **{"default_factory" if callable(value) else "default": value},
        metadata={"options": {"": Option(help=text, panel=panel, **more)}},
    )


_PROXY = {
    "epochs": Option(
        kind=int, default=DEFAULT_EPOCHS, help="Epochs that a candidate is trained for.", panel=TRAINING
    ),
    "batch_size": Option(kind=int, default=128, help="Images per training step.", panel=TRAINING),
    "learning_rate": Option(kind=float, default=5e-3, help="Adam's learning rate at the start.", panel=TRAINING),
    "pad": Option(kind=int, default=2, help="Pixels of padding for random crops; 0 for none.", panel=TRAINING),
    "flip": Option(kind=bool, default=True, help="Mirror images at random.", panel=TRAINING),
    "network": Option(
        default="small",
        help=f"Binary network: {', '.join(NETWORKS)}, or a builder of your own as FILE.py:BUILDER.",
        panel=TRAINING,
    ),
    "network_settings": Option(
        kind=dict, default={}, help='Further arguments of the network, as in {"widths": [8, 16, 32]}.', panel=TRAINING,
        shown="the network's own",
    ),
    "threads": Option(
        kind=int, default=1, help="CPU threads of one training; part of what decides the result.", panel=TRAINING
    ),
    "seconds": Option(
        kind=float | None, help="Time budget of one training; a candidate over it fails.", panel=TRAINING, shown="none"
    ),
    "memory": Option(
        kind=float | None, help="Memory budget of one training in GiB; a candidate over it fails.", panel=TRAINING,
        shown="none",
    ),
    "precision": Option(
        default="float32", help=f"What real layers compute in, on a GPU: {', '.join(PRECISIONS)}.", panel=TRAINING
    ),
}  # fmt: skip
_DATA = {
    "limit": Option(kind=int | None, help="Use at most this many images for the search.", panel=IMAGES, shown="all"),
    "device": Option(
        default="cpu", help="Where to train: cpu, cuda, cuda:1, ...; workers take cuda:0,cuda:1 in turn.",
        panel=TRAINING,
    ),
    "image_size": Option(
        kind=int | None, help="Resize images to this many pixels a side.", panel=IMAGES, shown="224 if streamed"
    ),
    "download": Option(kind=bool, default=False, help="Fetch the data set if it is missing.", panel=IMAGES),
    "workers": Option(
        kind=int, default=0, help="Processes that decode streamed images, for each worker.", panel=IMAGES,
        name="stream_workers",
    ),
}  # fmt: skip
_LIMITS = {
    "height": Option(
        kind=int, default=DEFAULT_LIMITS.height, help="Greatest height of a tree.", panel=TREES, name="max_height"
    ),
    "size": Option(kind=int, default=DEFAULT_LIMITS.size, help="Most nodes of a tree.", panel=TREES, name="max_size"),
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """All that a run depends on, and how it is run. ``config.json`` holds it.

    The text of a field's option says what it is, and ``gaaf-gp evolve --help`` lists them. Three fields hold several:
    ``limits`` those of every tree, ``proxy`` the arguments of :class:`gaaf_gp.Proxy` beside the data, and
    ``data_settings`` those of :func:`gaaf_gp.load_data` or, with ``stream``, of
    :func:`gaaf_gp.data.streamed.stream_data` beside name and seed.

    Raises:
        GaafError: a number is below its least.
    """

    out: Path = field(
        metadata={
            "options": {
                "": Option(
                    help="New or empty folder for the results.", panel=RUNNING, shown="out/evolve, or the next",
                    path=True,
                )
            }
        }
    )  # fmt: skip
    primitives: str = _option(
        "primitives.gaaf:free",
        "Primitive set: module:function or path/to/file.py:function (the file is run).",
        TREES,
    )
    data: str = _option(
        "fashion10k", "fashion10k (bundled), fashion-mnist, cifar10, cifar100, imagenet, or a folder of images.", IMAGES
    )
    stream: bool = _option(
        False,
        "Read images from their folder while a network trains, for those that memory cannot hold.",
        IMAGES,
        shown="streaming for imagenet",
    )
    loop: str = _option(
        "generations",
        "generations; islands that send each other their best (islands:8 for eight); steady: no worker waits for the "
        "slowest candidate (aging: the oldest leaves; arrival: cannot be repeated with several workers).",
        SEARCH,
    )
    evaluations: int = _option(100, "Number of distinct candidates to train.", SEARCH, least=1)
    workers: int = _option(
        available_cores, "Worker processes; the result is the same for any number.", RUNNING, shown="all cores", least=1
    )
    executor: str | None = _option(
        None,
        "What runs the workers: dask for a Dask cluster of --workers processes on this machine, dask://HOST:PORT for "
        "one that is there. The result is the same.",
        RUNNING,
        shown="processes of this machine",
    )
    seed: int = _option(
        0,
        "Of the search, the images' split and the trainings; one seed gives one result on one kind of machine.",
        SEARCH,
        least=0,
    )
    population: int = _option(20, "Individuals of a population.", SEARCH, least=2)
    crossover: float = _option(0.6, "Probability of mating two parents.", SEARCH)
    mutation: float = _option(0.6, "Probability of mutating a child of two parents.", SEARCH)
    elite: int | None = _option(None, "Best individuals that live on.", SEARCH, shown="2")
    two_trees: bool = _option(False, "Evolve a forward tree, whose sign is taken, and a backward one.", TREES)
    random_search: bool = _option(
        True,
        "Spend as many evaluations on random candidates too; their best is compared with the winner.",
        CONFIRMATION,
    )
    fresh_seeds: int = _option(
        5, "Trainings of the winner and of each competitor on the test split.", CONFIRMATION, least=2
    )
    racing: bool | None = _option(
        None,
        "Train all new candidates for a few epochs and only the best third of them on.",
        SEARCH,
        shown="racing from 3 epochs on, in generations",
    )
    extra_seeds: int = _option(
        0, "Most seeds added to a candidate that cannot be told from the best or from the elite.", SEARCH, least=0
    )
    limits: Limits = field(default_factory=Limits, metadata={"options": _LIMITS})
    bloat: str | None = _option(
        None, f"What else keeps trees small, with commas: {', '.join(CONTROLS)}.", TREES, default=SEARCH_DEFAULT
    )
    measure: str = _option("nodes", f"What those call size: {', '.join(SIZES)}.", TREES)
    constraints: tuple[str, ...] = _option(
        (),
        'What every tree must keep to, as in "no periodic inside periodic"; may be repeated.',
        TREES,
        name="constraint",
    )
    initial: tuple[str, ...] = _option((), "A function that the search begins with; may be repeated.", SEARCH)
    search_seconds: float | None = _option(None, "Begin nothing new after so much time.", SEARCH, shown="none")
    target: float | None = _option(None, "Validation accuracy, 0 to 1, that is good enough.", SEARCH, shown="none")
    stagnation: int | None = _option(
        None, "Stop after so many evaluations without a better best.", SEARCH, shown="none"
    )
    tune_constants: int = _option(
        0, "Evaluations after the search that look for better constants of its best.", SEARCH, least=0
    )
    archive: str | None = _option(
        None,
        "File of all trainings, which several runs may share; what is in it is not trained again.",
        RUNNING,
        shown="archive.sqlite in the folder",
        path=True,
    )
    proxy: dict[str, Any] = field(default_factory=dict, metadata={"options": _PROXY})
    data_settings: dict[str, Any] = field(default_factory=dict, metadata={"options": _DATA})

    def __post_init__(self) -> None:
        least = {option.setting: option.least for option in OPTIONS.values() if option.least is not None}
        whole_fields(self, **least)
        object.__setattr__(self, "seed", whole_number("seed", self.seed, 0, MOST_SEED))
        if self.search_seconds is not None:
            object.__setattr__(self, "search_seconds", positive_number("search_seconds", self.search_seconds))
        if self.target is not None:
            object.__setattr__(self, "target", number("target", self.target, finite=True))
        if self.stagnation is not None:
            whole_fields(self, stagnation=1)
        for name in ("crossover", "mutation"):
            object.__setattr__(self, name, probability(name, getattr(self, name)))
        if self.elite is not None:
            object.__setattr__(self, "elite", whole_number("elite", self.elite, 0, self.population - 1))

    def as_json(self) -> dict[str, Any]:
        """Return all settings but ``out``, fit for JSON; :func:`settings_from` reads them."""
        return {name: value for name, value in asdict(self).items() if name != "out"}

    @property
    def living_on(self) -> int:
        """Individuals that live on."""
        return min(2, self.population - 1) if self.elite is None else self.elite


_KINDS = get_type_hints(Settings)


def _options() -> Iterator[Option]:
    for one in fields(Settings):
        default = None if one.name in ("out", "workers") else one.default  # which depend on the machine
        for key, option in one.metadata["options"].items():
            if key:
                yield replace(option, setting=f"{one.name}.{key}")
            else:
                own = default if option.default is None else option.default
                yield replace(option, setting=one.name, kind=_KINDS[one.name], default=own)


OPTIONS = {option.setting: option for option in sorted(_options(), key=lambda one: PANELS.index(one.panel))}
"""Setting -> its option, in the order of their headings."""


PROXIES: dict[str, dict[str, Any]] = {
    "quick": {
        "proxy.network": "small",
        "proxy.network_settings": {},
        "proxy.epochs": DEFAULT_EPOCHS,
        "data_settings.image_size": None,
    },
    "deep": {
        "proxy.network": "resnet20",
        "proxy.network_settings": {"widths": [8, 16, 32], "shortcut_every": 2},
        "proxy.epochs": 3,
        "data_settings.image_size": 14,
    },
}
"""Ways to judge a candidate by name; docs/results.md says how well each ranks functions as other networks do."""


def proxy_named(name: str) -> dict[str, Any]:
    """Return the settings, by the names of :data:`OPTIONS`, of a way to judge candidates.

    Args:
        name: one of :data:`PROXIES`, or the path of a JSON file that has settings of the training or of the images by
            the names of their options, such as ``{"network": "resnet20", "epochs": 3, "image_size": 14}``.

    Raises:
        GaafError: there is neither, or the file has something else.
    """
    if name in PROXIES:
        return PROXIES[name]
    file = Path(name)
    if not file.is_file():
        raise GaafError(
            f"a proxy must be one of {listed(PROXIES)} or a JSON file, and there is no file {name}: name another"
        )
    allowed = {option.parameter: setting for setting, option in OPTIONS.items() if option.panel in (IMAGES, TRAINING)}
    values = read_mapping(file, "settings")
    unknown = [str(key) for key in values if key not in allowed]
    if unknown:
        raise GaafError(
            f"a proxy may have {listed(allowed, len(allowed))}, and {file} has {listed(unknown)}: leave it out"
        )
    for key, value in values.items():
        option = OPTIONS[allowed[key]]
        _check_kind(f"{key} in {file}", value, option.kind, option.default)
    return {allowed[key]: value for key, value in values.items()}


def flat(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the settings that :meth:`Settings.as_json` gave by the names of :data:`OPTIONS`, with their values."""
    grouped = {name.partition(".")[0] for name in OPTIONS if "." in name}
    for name, value in settings.items():
        if name in grouped and isinstance(value, dict):
            yield from ((f"{name}.{key}", entry) for key, entry in value.items())
        else:
            yield str(name), value


def changed(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """Return the settings with other values, which are named as in :data:`OPTIONS`.

    Raises:
        GaafError: a value is out of its range.
    """
    top: dict[str, Any] = {}
    for name, value in values.items():
        group, dot, key = name.partition(".")
        if not dot:
            top[name] = value
            continue
        before = top.get(group, getattr(settings, group))
        top[group] = replace(before, **{key: value}) if isinstance(before, Limits) else {**before, key: value}
    return replace(settings, **top)


def from_any_folder(settings: Settings) -> Settings:
    """Return the settings with whole paths, so that a run goes on from whatever folder its user is in.

    Raises:
        GaafError: a text among them cannot be written as UTF-8, so that nobody could read it again.
    """
    paths: dict[str, Any] = {"primitives": user_code.from_any_folder(settings.primitives)}
    if "network" in settings.proxy:
        paths["proxy"] = {**settings.proxy, "network": user_code.from_any_folder(settings.proxy["network"])}
    if settings.data not in DATASETS:
        paths["data"] = str(existing_folder(settings.data).resolve())
    if settings.archive is not None:
        paths["archive"] = str(Path(settings.archive).resolve())
    whole = replace(settings, **paths)
    for name, value in flat({**whole.as_json(), "out": str(settings.out)}):
        for text in value if isinstance(value, list | tuple) else (value,):
            check_text(f"the setting {OPTIONS[name].flag if name in OPTIONS else name}", text)
    return whole


def settings_from(content: object, out: Path) -> Settings:
    """Return the settings that :meth:`Settings.as_json` gave.

    Args:
        content: what JSON was read; it may be anything.
        out: the folder.

    Raises:
        GaafError: it holds something else.
    """
    names = _KINDS.keys() - {"out"}
    if not isinstance(content, dict) or content.keys() != names:
        odd = content.keys() ^ names if isinstance(content, dict) else {type(content).__name__}
        raise GaafError(f"settings of a run must hold exactly its settings; {listed(sorted(map(str, odd)))} differ")
    limits = content["limits"]
    if not isinstance(limits, dict) or limits.keys() != _LIMITS.keys():
        raise GaafError(f"limits of a run must have height and size, got {limits!r}")
    plain = Settings(out).as_json()
    for name, value in content.items():
        _check_kind(name, value, _KINDS[name], plain[name])
    for name, value in flat(content):
        if "." in name and name in OPTIONS:
            _check_kind(name, value, OPTIONS[name].kind, OPTIONS[name].default)
    texts = {name: tuple(content[name]) for name in ("constraints", "initial")}
    return Settings(out, **{**content, **texts, "limits": Limits(**limits)})


def _check_kind(name: str, value: object, kind: Any, default: object) -> None:
    """Refuse a value of another kind than its setting has."""
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    as_read = {float: (float, int), tuple: (list, tuple), Limits: (dict,)}  # what JSON makes of them
    allowed = tuple(plain for one in kinds for plain in as_read.get(get_origin(one) or one, (get_origin(one) or one,)))
    fits = isinstance(value, allowed) and (not isinstance(value, bool) or bool in allowed)
    if isinstance(value, list | tuple):
        fits = fits and all(isinstance(text, str) for text in value)
    if isinstance(value, int | float):
        fits = fits and -MOST_NUMBER < value < MOST_NUMBER  # NaN is not
    if not fits:
        words = " or ".join("None" if one is NoneType else getattr(one, "__name__", str(one)) for one in kinds)
        raise GaafError(f"the setting {name} must be of the kind {words}, as {default!r} is, got {value!r}")

"""What a run depends on, as one record that is checked when it is made."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from gaaf_gp.errors import GaafError, listed
from gaaf_gp.trees.generation import Limits
from gaaf_gp.util.checks import LARGEST, whole_fields, whole_number
from gaaf_gp.util.devices import available_cores

MOST_NUMBER = 2**63
"""Numbers of settings that are read are smaller; others would end as an overflow somewhere later."""
MOST_SEED = LARGEST // 1_000_000_000 - 2
"""Seeds of confirmations are up to a thousand million times as large, and must fit in 64 bits."""


@dataclass(frozen=True)
class Settings:
    """All that a run depends on, and how it is run. ``config.json`` holds it.

    Attributes:
        out: folder for the results; must be new or empty.
        primitives: the set, as :func:`gaaf_gp.trees.load.load_primitives` takes it.
        data: name or folder, as :func:`gaaf_gp.load_data` takes it; ``data_settings`` are its further arguments. Its
            ``device`` may be several with commas, which workers take in turn.
        stream: whether images stay in their files and are read while a network trains. Data and its settings are then
            those of :func:`gaaf_gp.data.streamed.stream_data`.
        loop: of the search, as :func:`gaaf_gp.search.loops.as_loop` reads it.
        evaluations: distinct candidates to train.
        workers: processes; the result does not depend on it.
        executor: what runs the workers, ``dask`` or ``dask://HOST:PORT``; None for processes of this machine. The
            result does not depend on it.
        seed: of the search, the split and the training; one seed, one result.
        population: individuals of a population.
        two_trees: whether candidates have a forward and a backward tree, see :mod:`gaaf_gp.trees.candidate`.
        random_search: whether random search has the same evaluations after the search, for its best to be compared with
            the winner. What both meet is trained once.
        fresh_seeds: trainings of the winner and of each of its competitors on the test split; at least 2.
        racing: whether the candidates of a generation race each other (:class:`gaaf_gp.evaluation.racing.Racing`);
            None for yes if a training has at least 3 epochs and the loop has generations.
        extra_seeds: most seeds that are added to candidates that contest a place.
        limits: of every tree.
        bloat: what else keeps trees small: names in :data:`gaaf_gp.search.bloat.CONTROLS` with commas; None for the
            default.
        measure: in what those measure size, one of :data:`gaaf_gp.search.bloat.SIZES`.
        constraints: what every tree must keep to, as :func:`gaaf_gp.search.constraints.as_constraints` reads it.
        initial: texts of functions that the search begins with.
        search_seconds: wall time after which no new generation begins.
        target: validation accuracy (0 to 1) at which the best is good enough.
        stagnation: evaluations without a better best after which the search ends.
        archive: file of SQLite that every training is written to and looked up in (:mod:`gaaf_gp.archive`), which
            several runs may share; None for ``archive.sqlite`` in the folder.
        proxy: arguments of :class:`gaaf_gp.Proxy` beside the data.
    """

    out: Path
    primitives: str = "primitives.gaaf:free"
    data: str = "fashion10k"
    stream: bool = False
    loop: str = "generations"
    evaluations: int = 100
    workers: int = field(default_factory=available_cores)
    executor: str | None = None
    seed: int = 0
    population: int = 20
    two_trees: bool = False
    random_search: bool = True
    fresh_seeds: int = 5
    racing: bool | None = None
    extra_seeds: int = 0
    limits: Limits = field(default_factory=Limits)
    bloat: str | None = None
    measure: str = "nodes"
    constraints: tuple[str, ...] = ()
    initial: tuple[str, ...] = ()
    search_seconds: float | None = None
    target: float | None = None
    stagnation: int | None = None
    archive: str | None = None
    proxy: dict[str, Any] = field(default_factory=dict)
    data_settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        whole_fields(self, evaluations=1, workers=1, seed=0, population=2, fresh_seeds=2, extra_seeds=0)
        whole_number("seed", self.seed, 0, MOST_SEED)

    def as_json(self) -> dict[str, Any]:
        """Return all settings but ``out``, fit for JSON; :func:`settings_from` reads them."""
        return {name: value for name, value in asdict(self).items() if name != "out"}

    @property
    def elite(self) -> int:
        """Individuals that live on."""
        return min(2, self.population - 1)


def settings_from(content: object, out: Path) -> Settings:
    """Return the settings that :meth:`Settings.as_json` gave.

    Args:
        content: what JSON was read; it may be anything.
        out: the folder.

    Raises:
        GaafError: it holds something else.
    """
    known = {one.name: one.type for one in fields(Settings) if one.name != "out"}
    if not isinstance(content, dict) or content.keys() != known.keys():
        odd = content.keys() ^ known.keys() if isinstance(content, dict) else {type(content).__name__}
        raise GaafError(f"settings of a run must hold exactly its settings; {listed(sorted(map(str, odd)))} differ")
    limits = content["limits"]
    if not isinstance(limits, dict) or limits.keys() != {"height", "size"}:
        raise GaafError(f"limits of a run must have height and size, got {limits!r}")
    plain = Settings(Path("out")).as_json()
    for name, value in content.items():
        _check_kind(name, value, plain[name], known[name])
    texts = {name: tuple(content[name]) for name in ("constraints", "initial")}
    return Settings(out, **{**content, **texts, "limits": Limits(**limits)})


def _check_kind(name: str, value: object, default: object, annotation: object) -> None:
    """Refuse a value of another kind than its setting has."""
    kinds: dict[str, tuple[type, ...]] = {
        "str": (str,),
        "bool": (bool,),
        "int": (int,),
        "float": (float, int),
        "tuple[str, ...]": (list, tuple),
        "dict[str, Any]": (dict,),
        "Limits": (dict,),
    }
    words = [word.strip() for word in str(annotation).split(" | ")]
    allowed = tuple(kind for word in words if word != "None" for kind in kinds[word])
    fits = isinstance(value, allowed) and (not isinstance(value, bool) or bool in allowed)
    if isinstance(value, list | tuple):
        fits = fits and all(isinstance(one, str) for one in value)
    if isinstance(value, int | float):
        fits = fits and -MOST_NUMBER < value < MOST_NUMBER  # NaN is not
    if not fits and not (value is None and "None" in words):
        raise GaafError(f"the setting {name} must be of the kind {annotation}, as {default!r} is, got {value!r}")

"""The declared types of the kernels against the C sources themselves."""

import re
from importlib import resources

import pytest

from gaaf_gp.binary import native
from gaaf_gp.binary.native.build import SIGNATURES, SOURCES, library


def kinds(argument: str) -> str:
    return "p" if "*" in argument else {"int64_t": "n", "float": "f", "double": "d"}[argument.split(maxsplit=1)[0]]


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_a_kernel_is_declared_as_it_is_written(name: str) -> None:
    texts = [resources.files("gaaf_gp.binary.native").joinpath(one).read_text() for one in SOURCES]
    found = [match for text in texts for match in re.findall(rf"^(?:int|void) {name}\(([^)]*)\)", text, re.M)]
    assert found
    for arguments in found:
        assert "".join(map(kinds, arguments.split(","))) == SIGNATURES[name].replace(" ", "")
        assert arguments.split()[-1] == "threads"


@pytest.mark.skipif(not native.available(), reason="there are no kernels here")
def test_every_kernel_of_this_processor_has_its_types() -> None:
    for name, text in SIGNATURES.items():
        kernel = getattr(library(), name, None)
        assert kernel is None or len(kernel.argtypes) == len(text.replace(" ", "")), name
        assert kernel is not None or "fixed" in name, name

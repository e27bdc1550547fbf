"""The stages that settings of a retraining make, and what they refuse."""

import math

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.training.retraining.distillation import Distillation
from gaaf_gp.training.retraining.settings import RetrainSettings


@pytest.mark.parametrize(
    ("epochs", "share", "lengths"),
    [(10, 0.0, (10,)), (10, 0.5, (5, 5)), (10, 0.99, (9, 1)), (10, 0.001, (1, 9)), (2, 0.5, (1, 1)), (7, 0.3, (2, 5))],
)
def test_stages_share_the_epochs(tiny_data, tiny_settings, epochs, share, lengths):
    proxy = {name: value for name, value in tiny_settings.items() if name != "epochs"}
    settings = RetrainSettings(epochs, share, proxy=proxy)
    assert settings.lengths == lengths
    stages = settings.stages(tiny_data)
    assert tuple(stage.epochs for stage in stages) == lengths
    assert [stage.real_weights for stage in stages] == [True] * (len(lengths) - 1) + [False]
    assert {stage.learning_rate for stage in stages} == {tiny_settings["learning_rate"]}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"epochs": True}, "epochs must be a whole number of at least 1, got True"),
        ({"two_stage": 1.0}, "two_stage must be a share of the epochs, from 0 to below 1, got 1.0"),
        ({"two_stage": -0.1}, "two_stage must be a share of the epochs"),
        ({"two_stage": math.nan}, "two_stage must be a share of the epochs"),
        ({"epochs": 1, "two_stage": 0.5}, "two stages need at least 2 epochs, got 1"),
        ({"proxy": {"depth": 3}}, "Proxy, which has no depth to pass; known: network, "),
        ({"proxy": {"epochs": 3, "real_weights": True}}, "has no epochs, real_weights to pass"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(GaafError, match=message):
        RetrainSettings(**{"epochs": 4, **settings})


def test_what_the_proxy_refuses_is_refused(tiny_data):
    with pytest.raises(GaafError, match="batch_size must be at most the 60 training images"):
        RetrainSettings(1, proxy={"batch_size": 61}).stages(tiny_data)


def test_a_teacher_is_a_name_or_a_file():
    assert Distillation("resnet18").file is None
    assert Distillation("out/teacher.safetensors").file.name == "teacher.safetensors"

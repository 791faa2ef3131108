"""The networks of the paper's experiments, by the name in the config."""

from __future__ import annotations

from munet.config.routing import RoutingExperiment
from munet.methods.gumbel_matrix.components import Chain, Conv, Dense, Norm, Pool
from munet.methods.gumbel_matrix.network import Layer, Network
from munet.methods.gumbel_matrix.root_layers import INPUT, RootLayer
from munet.vit.architecture import CHANNELS, NORM, block_name


def network(experiment: RoutingExperiment) -> Network:
    """The network of a config."""
    size, channels = experiment.image_size, 1 if experiment.is_grey else 3
    match experiment.network:
        case "sines_parallel":
            return sines_parallel()
        case "sines":
            return sines()
        case "mnist":
            return mnist(size, channels)
        case "omniglot":
            return omniglot(size, channels, filters=48, num_layers=8)
        case "omniglot_small":
            return omniglot(size, channels, filters=16, num_layers=4)
        case "clusters":
            return clusters(size, channels)
        case "vit":
            return vit(experiment.variant, experiment.num_blocks, experiment.versions, size)


def names(network: Network) -> list[str]:
    """What the components of routed layers are, by place: `conv 3x3, conv 3x3`; numbered where they are alike."""
    found = []
    for place in range(max(network.widths, default=0)):
        kinds = [_words(network.layers[number].components[place]) for number in network.routed]
        found.append(" or ".join(dict.fromkeys(kinds)))
    alike = len(set(found)) == 1 or any(" or " in name and found.count(name) > 1 for name in found)
    if alike:
        return [f"no. {place}" for place in range(len(found))]
    return [name if found.count(name) == 1 else f"{name}, no. {place}" for place, name in enumerate(found)]


def _words(chain: Chain) -> str:
    said = []
    for operation in chain:
        match operation:
            case Conv(size=(height, width)):
                said.append(f"conv {height}x{width}")
            case Pool(kind=kind, size=size):
                said.append(f"{kind} pool {size}x{size}")
            case Dense(width=width):
                said.append(f"dense {width}")
            case RootLayer(name=name):
                said.append(name)
    return ", ".join(said) or "identity"


def sines_parallel(inputs: int = 128) -> Network:
    """Of Figure 1: two components with one dense layer of 4 units, two with two; a linear head a task."""
    one, two = (Dense(4),), (Dense(4), Dense(4))
    return Network((inputs,), (Layer((one, one, two, two)),))


def sines(inputs: int = 128) -> Network:
    """Of Figure 7: four components of three dense layers, the last of which is the answer; no heads."""
    return Network((inputs,), (Layer(((Dense(16), Dense(16), Dense(1, relu=False)),) * 4),), has_heads=False)


def mnist(size: int = 28, channels: int = 1) -> Network:
    """Of Table I: three routed layers of four small convolutions, with pools between; 3,080 weights at 28 x 28."""
    half = Pool("average", 2, 2, "VALID")
    layers = (
        Layer(((Conv(4, (5, 5), padding="VALID"),),) * 4, (half,)),
        Layer(((Conv(4, (3, 3), padding="VALID"),),) * 4, (half,)),
        Layer(((Conv(4, (3, 3), padding="VALID"),),) * 4),
    )
    return Network((size, size, channels), layers, dropout=0.5)


def omniglot(size: int = 105, channels: int = 1, *, filters: int = 48, num_layers: int = 8) -> Network:
    """Of Table II: seven kinds of components a layer, after Meyerson and Miikkulainen's networks."""
    layers = []
    strided = {int(1.6 * number) for number in range(5)}  # 0, 1, 3, 4, 6
    for number in range(num_layers):
        stride = 2 if number in strided else 1
        layers.append(Layer(_kinds(filters, stride), (Norm(),)))
    return Network((size, size, channels), tuple(layers), (Conv(filters, (1, 1), relu=False), Norm()), dropout=0.5)


def _kinds(filters: int, stride: int) -> tuple[Chain, ...]:
    """The stride is that of a component's last operation; an identity with one is a plain convolution."""

    def convolved(*sizes: tuple[int, int]) -> Chain:
        last = len(sizes) - 1
        return tuple(Conv(filters, size, stride if place == last else 1, norm=True) for place, size in enumerate(sizes))

    return (
        convolved((3, 3), (3, 3)),
        convolved((5, 5), (5, 5)),
        convolved((7, 7), (7, 7)),
        convolved((1, 7), (7, 1)),
        (Pool("max", 3, stride),),
        (Pool("average", 3, stride),),
        (Conv(filters, (1, 1), stride, relu=False),) if stride > 1 else (),
    )


def clusters(size: int = 32, channels: int = 3) -> Network:
    """Of Figures 5 and 6: three routed layers of sixteen convolutions."""
    kinds: tuple[Chain, ...] = ((Conv(8, (3, 3), 2, norm=True),),) * 8 + ((Conv(8, (5, 5), 2, norm=True),),) * 8
    layers = (Layer(kinds, (Norm(),)),) * 3
    return Network((size, size, channels), layers, (Conv(8, (1, 1), relu=False), Norm()), dropout=0.5)


def vit(variant: str, num_blocks: int, versions: int, size: int) -> Network:
    """A root with several versions of each of its blocks; a head a task reads the class token after the norm."""
    layers = []
    for index in range(num_blocks):
        is_last = index == num_blocks - 1
        block = RootLayer(variant, block_name(index), is_last)
        layers.append(Layer(((block,),) * versions, (RootLayer(variant, NORM),) if is_last else ()))
    stem = tuple(RootLayer(variant, name) for name in INPUT)
    # Stacked products are slow on a CPU, and large enough alone: one version is computed after the other.
    return Network((size, size, CHANNELS), tuple(layers), stem, evaluation="in_turn")

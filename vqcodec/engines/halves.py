"""Networks cut in two where they have a `Seam`, so that each half gets windows of a size and a
halo of its own. Standard library only.
"""

from __future__ import annotations

from vqcodec.engines.layers import Channels, Concatenation, Crop, Layer, Network, Seam, Sum


def halves(network: Network) -> tuple[Network, Network]:
    """Cut a network in two, which one after the other make what it makes.

    One of its layers has branches, and each of these a `Seam`: the first half makes the channels
    that cross the seams, one branch's after another's, and the second half reads them.
    """
    place, split = next(
        (place, layer)
        for place, layer in enumerate(network.layers)
        if isinstance(layer, (Sum, Concatenation))
    )
    firsts: list[tuple[Layer, ...]] = []
    seconds: list[tuple[Layer, ...]] = []
    crossing = 0
    for branch in split.branches:
        at, seam = next((at, each) for at, each in enumerate(branch) if isinstance(each, Seam))
        own = Channels(crossing, crossing + seam.channels)
        firsts.append((*branch[:at], Crop()))
        seconds.append((own, Crop(), *branch[at + 1 :]))
        crossing += seam.channels
    before, after = network.layers[:place], network.layers[place + 1 :]
    joined = type(split)(tuple(seconds))
    return (
        Network(network.inputs, crossing, (*before, Concatenation(tuple(firsts)))),
        Network(crossing, network.outputs, (joined, *after)),
    )

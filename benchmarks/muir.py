"""What MUiR's reparameterisation costs: a train step over that of the plain models, and making all blocks.

    python -m benchmarks.muir [--case=generate|step] [--challengers=1] [--repeats=7]

Prints one JSON line. `generate`: all 10,857 blocks of LeNet, LSTM-256 and DeepBind-256 (16 x 16, contexts of 4, half of
the blocks with challengers), forward and backward, beside the obvious way (a gather and a product for each candidate)
and beside moving the modules that are read and the gradients that are written once. `step`: Adam on LeNet, LSTM-128
and DeepBind-64 together, with generated weights over plain ones. Contenders take turns in one process, compiled first;
ratios are medians over turns. `processor_...` is of processor time, which other processes disturb less.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from munet.methods.muir import alignment
from munet.methods.muir.alignment import Search
from munet.methods.muir.blocks import Part, Plan
from munet.methods.muir.hypermodules import generate
from munet.methods.muir.nets import Net, deep_bind, language_model, lenet
from munet.methods.muir.objectives import judged

BLOCK, CONTEXT, SHARE = (16, 16), 4, 0.5
Work = Callable[[], Any]


def _search(plan: Plan, challengers: int) -> dict[str, Array]:
    """Contexts, candidates and scores of a search in full swing: modules are used about twice."""
    length = plan.num_locations
    incumbent = np.random.default_rng(0).integers(0, length // 2, length).astype(np.int32)
    generation = alignment.ask(incumbent, Search(length, challengers, SHARE, 0.0), ("benchmark",))
    contexts = np.repeat(plan.deviations[:, None], CONTEXT, axis=1)
    return {
        "contexts": jnp.asarray(contexts),
        "candidates": jnp.asarray(generation.candidates),
        "scores": jnp.zeros((1 + challengers, length)),
        "places": jnp.asarray(np.flatnonzero(generation.drawn).astype(np.int32)),
    }


def _modules(plan: Plan) -> Array:
    shape = (plan.num_locations, CONTEXT, *BLOCK)
    return jnp.asarray(np.random.default_rng(1).normal(size=shape).astype(np.float32) / 2)


def _obvious(modules: Array, contexts: Array, candidates: Array, scores: Array) -> Array:
    """A gather and a product for each candidate."""
    shares = jax.nn.softmax(scores, axis=0)
    made = [
        share[:, None, None] * jnp.einsum("la,lamn->lmn", contexts, modules[chosen])
        for share, chosen in zip(shares, candidates, strict=True)
    ]
    return jnp.stack(made).sum(axis=0)


def generation(challengers: int, repeats: int) -> dict[str, Any]:
    """All blocks of the cross-modal study, forward and backward."""
    nets = (lenet(), language_model(33_278), deep_bind())
    plan = Plan(BLOCK, [Part((at,), net.generated) for at, net in enumerate(nets)])
    modules, search = _modules(plan), _search(plan, challengers)
    wanted = jnp.asarray(np.random.default_rng(2).normal(size=(plan.num_locations, *BLOCK)).astype(np.float32))

    def timed(make: Callable[..., Array]) -> tuple[Work, Any]:
        def loss(modules: Array, contexts: Array, scores: Array, wanted: Array) -> Array:
            return (make(modules, contexts, scores) * wanted).sum()

        arguments = (modules, search["contexts"], search["scores"], wanted)
        compiled = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2))).lower(*arguments).compile()
        return lambda: compiled(*arguments), compiled.memory_analysis()

    candidates, places = search["candidates"], search["places"]
    ours, memory = timed(lambda h, z, s: generate(h, z, candidates, s, places))
    theirs, their_memory = timed(lambda h, z, s: _obvious(h, z, candidates, s))
    move = jax.jit(lambda h, rows: (h + 1, rows + 1))
    read = jnp.zeros((plan.num_locations + challengers * len(places), CONTEXT, *BLOCK))
    turns = _turns({"ours": ours, "obvious": theirs, "bytes": lambda: move(modules, read)}, repeats)
    plain = plan.num_locations * BLOCK[0] * BLOCK[1] * 4
    return {
        "blocks": plan.num_locations,
        **turns,
        **_ratios(turns, "obvious", "ours"),
        **_ratios(turns, "ours", "bytes"),
        "memory_over_plain_weights": memory.temp_size_in_bytes / plain,
        "obvious_memory_over_plain_weights": their_memory.temp_size_in_bytes / plain,
    }


def step(challengers: int, repeats: int) -> dict[str, Any]:
    """A round of three modalities, with Adam."""
    nets = (lenet(), language_model(128, 128), deep_bind(64))
    plan = Plan(BLOCK, [Part((at,), net.generated) for at, net in enumerate(nets)])
    generator = np.random.default_rng(0)
    batches = (
        (generator.integers(0, 256, (128, 32, 32, 3)).astype(np.uint8), generator.integers(0, 10, 128)),
        (generator.integers(0, 128, (20, 35)), generator.integers(0, 128, (20, 35))),
        (generator.integers(0, 5, (256, 201)), generator.normal(size=256).astype(np.float32)),
    )
    own = [net.own(np.array([0, at], np.uint32)) for at, net in enumerate(nets)]
    search = _search(plan, challengers)

    def total(leaves: list[dict[str, Array]], batches: Any) -> Array:
        pairs = zip(nets, leaves, batches, strict=True)
        return jnp.stack([_loss(net, one, *batch) for net, one, batch in pairs]).sum()

    def generated(params: Mapping[str, Any], batches: Any) -> Array:
        blocks = generate(
            params["modules"], params["contexts"], search["candidates"], params["scores"], search["places"]
        )
        made = [{path: leaf[0] for path, leaf in plan.unpack(blocks, at).items()} for at in range(len(nets))]
        return total([{**one, **other} for one, other in zip(params["own"], made, strict=True)], batches)

    kernels = [
        {one.path: jnp.asarray(generator.normal(0, one.deviation, one.shape), jnp.float32) for one in net.generated}
        for net in nets
    ]
    whole = [{**one, **other} for one, other in zip(own, kernels, strict=True)]
    ours = {"modules": _modules(plan), "contexts": search["contexts"], "scores": search["scores"], "own": own}
    given = jax.device_put(batches)  # arguments: constants would be folded, and their work not be measured
    turns = _turns({"ours": _trained(generated, ours, given), "plain": _trained(total, whole, given)}, repeats)
    return {"blocks": plan.num_locations, **turns, **_ratios(turns, "ours", "plain")}


def _loss(net: Net, leaves: Mapping[str, Array], inputs: Any, targets: Any) -> Array:
    carry = net.start(len(targets)) if net.objective == "next_token" else ()
    return judged(net, leaves, jnp.asarray(inputs), jnp.asarray(targets), carry).losses.mean()


def _trained(loss: Callable[[Any, Any], Array], params: Any, batches: Any) -> Work:
    """Steps of Adam, one a call, from where the call before ended."""
    adam = optax.adam(1e-3)
    held = {"params": jax.tree.map(jnp.array, params)}
    held["moments"] = adam.init(held["params"])

    @jax.jit
    def one(params: Any, moments: Any, batches: Any) -> tuple[Any, Any]:
        moves, moments = adam.update(jax.grad(loss)(params, batches), moments)
        return optax.apply_updates(params, moves), moments

    def work() -> Any:
        held["params"], held["moments"] = one(held["params"], held["moments"], batches)
        return held["params"]

    return work


def _turns(contenders: Mapping[str, Work], repeats: int) -> dict[str, Any]:
    """Seconds of wall and of processor time of every turn, after one that is not counted."""
    for work in contenders.values():
        jax.block_until_ready(work())
    walls: dict[str, list[float]] = {name: [] for name in contenders}
    processors: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, work in contenders.items():
            started = time.perf_counter(), time.process_time()
            jax.block_until_ready(work())
            walls[name].append(time.perf_counter() - started[0])
            processors[name].append(time.process_time() - started[1])
    return {"seconds": walls, "processor_seconds": processors}


def _ratios(turns: Mapping[str, Any], first: str, second: str) -> dict[str, float]:
    found = {}
    for prefix, kind in (("", "seconds"), ("processor_", "processor_seconds")):
        pairs = zip(turns[kind][first], turns[kind][second], strict=True)
        found[f"{prefix}{first}_over_{second}"] = statistics.median(one / other for one, other in pairs)
    return found


def main() -> None:
    """Measures one case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=("generate", "step"), default="generate")
    parser.add_argument("--challengers", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    measure = {"generate": generation, "step": step}[given.case]
    found = measure(given.challengers, given.repeats)
    print(json.dumps({"case": given.case, "challengers": given.challengers, **found}))


if __name__ == "__main__":
    main()

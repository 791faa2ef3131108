"""Recurrent models of texts: the paper's stacked LSTMs, and AWD-LSTM.

Both embed symbols, and score the next one by the same embedding. A text is read piece by piece: the state at the end
of a piece (`Carry`) is the state at the beginning of the next.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from munet.methods.muir.initial_values import between

Carry = tuple[tuple[Float[Array, "batch width"], Float[Array, "batch width"]], ...]
PENALTIES = "penalties"  # Flax's collection of what is added to a model's loss where it trains


class LanguageModel(nn.Module):
    """Stacked LSTMs between an embedding and the same embedding as decoder; of width 256, two layers: 4096 blocks.

    Attributes:
      symbols: in the vocabulary.
      width: of embedding and layers.
      layers: LSTMs.
      dropout: share of embedded and of last values that are dropped where it trains.
    """

    symbols: int
    width: int = 256
    layers: int = 2
    dropout: float = 0.2

    @property
    def widths(self) -> tuple[int, ...]:
        """Of what every layer goes on with."""
        return (self.width,) * self.layers

    @nn.compact
    def __call__(
        self, text: Int[Array, "batch steps"], carry: Carry | None = None, trains: bool = False
    ) -> tuple[Float[Array, "batch steps symbols"], Carry]:
        """Scores of the symbol after each one, and what the next piece of text goes on with."""
        embedding = self.param("embedding", between(0.1), (self.symbols, self.width))
        dropped = nn.Dropout(self.dropout, deterministic=not trains)
        x, carried = dropped(embedding[text]), []
        for layer, start in enumerate(carry or zeros(self.widths, len(text))):
            x, end = Lstm(self.width, name=f"lstm_{layer}")(x, start)
            carried.append(end)
        scores = dropped(x) @ embedding.T + self.param("decoder_bias", nn.initializers.zeros, (self.symbols,))
        return scores, tuple(carried)


class AwdLstm(nn.Module):
    """AWD-LSTM (Merity et al., 2017, arXiv 1708.02182) without its optimiser: three LSTMs with dropout of many kinds.

    Of width 1136 the LSTMs have 19.76 million generated weights, of width 704 8.84 million: the 19.8 and 8.8 of MUiR's
    Table 5. Shares and penalties are those with which the authors' code (github.com/salesforce/awd-lstm-lm) trains on
    WikiText-2: `--dropouth 0.2`, all else as `main.py` has it. Masks are drawn once for a piece of a text and are the
    same in all of its steps ("locked"). Not here: averaged SGD begun by a rule (NT-ASGD), clipped gradients, weight
    decay, pieces of random length, fine-tuning, the cache pointer. Adam trains it here, as all models.

    Attributes:
      symbols: in the vocabulary.
      width: of the layers but the last one, which is as wide as the embedding.
      embedded: width of the embedding.
      of_words: share of the vocabulary whose embedding is 0 for a piece, in its input only.
      of_input: share of the embedding's values that are dropped.
      of_layers: the same of what a layer hands to the next.
      of_output: the same of what the last layer hands to the decoder.
      of_weights: share of a layer's hidden-to-hidden weights that are dropped (DropConnect), generated or not.
      activation: times the mean square of the last layer's output, after dropout, is added to the loss (AR's alpha).
      slowness: times the mean square of its change from step to step, before dropout, is added (TAR's beta).
    """

    symbols: int
    width: int = 1136
    embedded: int = 400
    of_words: float = 0.1
    of_input: float = 0.65
    of_layers: float = 0.2
    of_output: float = 0.4
    of_weights: float = 0.5
    activation: float = 2.0
    slowness: float = 1.0

    @property
    def widths(self) -> tuple[int, ...]:
        """Of what every layer goes on with."""
        return (self.width, self.width, self.embedded)

    @nn.compact
    def __call__(
        self, text: Int[Array, "batch steps"], carry: Carry | None = None, trains: bool = False
    ) -> tuple[Float[Array, "batch steps symbols"], Carry]:
        """Scores of the symbol after each one, and what the next piece of text goes on with.

        Where it trains it also sows the penalty on its activations, a number, into `PENALTIES`.
        """

        def locked(share: float, x: Array) -> Array:
            return nn.Dropout(share, broadcast_dims=(1,), deterministic=not trains)(x)  # type: ignore[no-any-return]

        embedding = self.param("embedding", between(0.1), (self.symbols, self.embedded))
        is_kept = nn.Dropout(self.of_words, deterministic=not trains)(jnp.ones(self.symbols))
        made = x = locked(self.of_input, embedding[text] * is_kept[text][..., None])
        carried = []
        shares = (*[self.of_layers] * (len(self.widths) - 1), self.of_output)
        starts = carry or zeros(self.widths, len(text))
        for layer, (width, share, start) in enumerate(zip(self.widths, shares, starts, strict=True)):
            made, end = Lstm(width, self.of_weights, name=f"lstm_{layer}")(x, start, trains)
            x = locked(share, made)
            carried.append(end)
        if trains:
            self.sow(PENALTIES, "activations", self._penalty(made, x))
        scores = x @ embedding.T + self.param("decoder_bias", nn.initializers.zeros, (self.symbols,))
        return scores, tuple(carried)

    def _penalty(self, made: Array, dropped: Array) -> Float[Array, ""]:
        """Of the last layer's output before dropout (TAR) and after it (AR)."""
        penalty = self.activation * (dropped**2).mean()
        if made.shape[1] == 1:  # nothing changes from step to step
            return penalty
        return penalty + self.slowness * ((made[:, 1:] - made[:, :-1]) ** 2).mean()


def zeros(widths: tuple[int, ...], rows: int) -> Carry:
    """What so many texts begin with, in layers of some widths."""
    return tuple((jnp.zeros((rows, width)),) * 2 for width in widths)  # type: ignore[misc]  # two of each


class Lstm(nn.Module):
    """One layer: its gates (input, forget, cell, output) are matrices of their own; two biases, as PyTorch has them.

    Attributes:
      width: of its state and output.
      of_weights: share of its hidden-to-hidden weights that are dropped where it trains, once for all steps.
    """

    width: int
    of_weights: float = 0.0

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch steps inputs"], start: tuple[Array, Array], trains: bool = False
    ) -> tuple[Float[Array, "batch steps width"], tuple[Array, Array]]:
        """All steps of a text, from a state on."""
        limit = between(1 / math.sqrt(self.width))
        of_input = self.param("input", limit, (4, x.shape[-1], self.width))
        of_hidden = self.param("hidden", limit, (4, self.width, self.width))
        bias = self.param("input_bias", limit, (4, self.width)) + self.param("hidden_bias", limit, (4, self.width))
        if self.of_weights:
            of_hidden = nn.Dropout(self.of_weights, deterministic=not trains)(of_hidden)
        given = jnp.einsum("btx,gxw->tgbw", x, of_input) + bias[:, None]

        def step(state: tuple[Array, Array], given: Array) -> tuple[tuple[Array, Array], Array]:
            hidden, cell = state
            gates = given + jnp.einsum("bh,ghw->gbw", hidden, of_hidden)
            cell = nn.sigmoid(gates[1]) * cell + nn.sigmoid(gates[0]) * jnp.tanh(gates[2])
            hidden = nn.sigmoid(gates[3]) * jnp.tanh(cell)
            return (hidden, cell), hidden

        end, hidden = jax.lax.scan(step, start, given)
        return jnp.swapaxes(hidden, 0, 1), end

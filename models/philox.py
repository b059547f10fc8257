"""Random numbers that depend on what they are for, never on who else is asking. numpy only.

Philox-4x32-10 turns a counter and a key into four random words. Nothing is drawn in sequence, so a
draw is the same alone or in a batch, in one runtime or another, and with other entities present.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]
Uniforms = npt.NDArray[np.float32]

_ROUNDS = 10
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS = (np.uint32(0x9E3779B9), np.uint32(0xBB67AE85))
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_RESOLUTION = np.float32(2.0**-24)
SEED_LIMIT = 2**64


def philox(counter: Words, key: Words) -> Words:
    """Give the four output words of Philox-4x32-10 for each counter.

    Args:
        counter: ``[..., 4]`` uint32, lowest word first.
        key: ``[..., 2]`` uint32; leading axes broadcast against the counter's.

    Returns:
        ``[..., 4]`` uint32.
    """
    key_first, key_second = key[..., :1], key[..., 1:]
    first, second, third, fourth = (counter[..., word : word + 1] for word in range(4))
    for _ in range(_ROUNDS):
        one = first * _MULTIPLIERS[0]
        two = third * _MULTIPLIERS[1]
        first = _high(two) ^ second ^ key_first
        third = _high(one) ^ fourth ^ key_second
        second, fourth = _low(two), _low(one)
        key_first, key_second = key_first + _KEY_STEPS[0], key_second + _KEY_STEPS[1]
    return np.concatenate(np.broadcast_arrays(first, second, third, fourth), axis=-1)


def entity_words(entities: Sequence[str]) -> Words:
    """Give the ``[N, 2]`` words (low, high) of a 64-bit hash of each entity id.

    BLAKE2b of the UTF-8 id: the same in every process, on every machine.
    """
    digests = b"".join(
        hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for name in entities
    )
    return np.frombuffer(digests, dtype="<u4").reshape(-1, 2).astype(np.uint32)


def pair_keys(seed: int, sources: Words, targets: Words) -> Words:
    """Give the ``[E, 2]`` keys of directed pairs under one request seed.

    Args:
        seed: the request's, in ``0 .. 2^64 - 1``.
        sources: ``[E, 2]`` words of the source ids, as `entity_words` gives them.
        targets: ``[E, 2]`` words of the target ids.

    Raises:
        ValueError: if the seed does not fit in 64 bits.
    """
    if not 0 <= seed < SEED_LIMIT:
        raise ValueError(f"seed: found {seed}, expected an integer in 0 .. 2^64 - 1")
    key = np.array([seed & 0xFFFFFFFF, seed >> 32], dtype=np.uint32)
    return philox(np.concatenate((sources, targets), axis=-1), key)[..., :2]


def draws(keys: Words, samples: npt.ArrayLike, steps: npt.ArrayLike) -> Uniforms:
    """Give the uniforms of pairs, for samples and steps, in ``[0, 1)`` with 24 random bits.

    Args:
        keys: ``[E, 2]`` as `pair_keys` gives them.
        samples: ``[S]`` sample numbers.
        steps: ``[H]`` step numbers, of up to 64 bits.

    Returns:
        ``[H, S, E]`` float32.
    """
    sample = np.asarray(samples, dtype=np.uint32)
    step = np.asarray(steps, dtype=np.uint64)
    counter = np.zeros((len(step), len(sample), 1, 4), dtype=np.uint32)
    counter[..., 0] = _low(step)[:, None, None]
    counter[..., 1] = sample[None, :, None]
    counter[..., 2] = _high(step)[:, None, None]
    words = philox(counter, keys[None, None])[..., 0]
    return (words >> np.uint32(8)).astype(np.float32) * _RESOLUTION


def uniforms(
    seed: int, samples: npt.ArrayLike, step: int, sources: Sequence[str], targets: Sequence[str]
) -> Uniforms:
    """Give the uniforms ``[S, E]`` of one step: the definition, for any list of named pairs.

    Loops over many steps compute `pair_keys` once and call `draws` instead.
    """
    keys = pair_keys(seed, entity_words(sources), entity_words(targets))
    return draws(keys, samples, [step])[0]


def _high(product: npt.NDArray[np.uint64]) -> Words:
    return (product >> _HALF).astype(np.uint32)


def _low(product: npt.NDArray[np.uint64]) -> Words:
    return (product & _LOW).astype(np.uint32)

"""Products with 8-bit weights that have a scale per output, against numpy, and against themselves in company."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from model_export.direct import quantize
from tests.kernels.one_operator import EPSILON, Array, session

_ROWS = (*range(1, 20), 33, 256)  # each kernel's, to both sides of where the next takes over
_InvalidArgument = ort.capi.onnxruntime_pybind11_state.InvalidArgument


def _columns(generator: np.random.Generator, inputs: int, outputs: int) -> quantize.Columns:
    return quantize.columns(generator.standard_normal((outputs, inputs), np.float32))


def _linear(operators: Path, weights: quantize.Columns) -> ort.InferenceSession:
    return session(operators, "RowsLinear", ["x"], {"values": weights.values, "scales": weights.scales})


def _product(x: Array, weights: quantize.Columns) -> NDArray[np.float64]:
    """The definition, in float64 but for what is rounded to integers, where ties have to fall alike."""
    largest = np.abs(x).max(axis=-1, keepdims=True)
    integers = np.rint(x * (np.float32(127) / largest)).astype(np.int64)
    return integers @ weights.values.astype(np.int64) * (largest.astype(np.float64) / 127) * weights.scales


def _close(actual: Array, expected: NDArray[np.float64]) -> None:
    """As near as float32 comes: sums of integers are exact, and four roundings follow."""
    np.testing.assert_allclose(actual, expected, rtol=5e-7, atol=0)


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [(576, 960), (1536, 576), (2048, 8192), (8, 32), (9, 33), (577, 100), (7, 31), (1, 1), (3, 64), (64, 17)],
)
def test_a_product_is_that_of_its_definition(operators: Path, inputs: int, outputs: int) -> None:
    generator = np.random.default_rng(inputs * outputs)
    weights = _columns(generator, inputs, outputs)
    linear = _linear(operators, weights)
    for rows in (1, 2, 3, 4, 8, 9, 16):
        x = generator.standard_normal((rows, inputs), np.float32)
        _close(linear.run(None, {"x": x})[0], _product(x, weights))


@pytest.mark.parametrize(
    ("inputs", "outputs"), [(576, 960), (584, 100), (577, 100)], ids=["whole", "a step and outputs over", "with rests"]
)
def test_a_row_comes_out_the_same_in_any_company(operators: Path, inputs: int, outputs: int) -> None:
    generator = np.random.default_rng(1)
    linear = _linear(operators, _columns(generator, inputs, outputs))
    x = generator.standard_normal((max(_ROWS), inputs), np.float32)
    alone = np.concatenate([linear.run(None, {"x": x[row : row + 1]})[0] for row in range(len(x))])
    for rows in _ROWS:
        np.testing.assert_array_equal(linear.run(None, {"x": x[:rows]})[0], alone[:rows])


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 7, 8, 13, 40])
def test_the_heaviest_pairs_do_not_saturate(operators: Path, rows: int) -> None:
    """Neighbours whose magnitudes add up to 128, and activations at their ends, of the very signs of a column."""
    pairs = np.tile([[127, 1], [64, 64], [1, 127], [100, 28]], (40, 8, 1)).reshape(40, 64).T
    signs = np.random.default_rng(5).choice([-1, 1], pairs.shape)
    weights = quantize.Columns((pairs * signs).astype(np.int8), np.ones(40, np.float32))
    x = np.concatenate([signs.T, -signs.T]).astype(np.float32)
    linear = _linear(operators, weights)
    products = np.concatenate([linear.run(None, {"x": x[at : at + rows]})[0] for at in range(0, len(x), rows)])
    _close(products, _product(x, weights))
    assert products.max() == 64 // 2 * 128


@pytest.mark.parametrize("rows", [1, 3, 6])
def test_rows_of_zeros_give_zeros(operators: Path, rows: int) -> None:
    linear = _linear(operators, _columns(np.random.default_rng(2), 64, 48))
    product = linear.run(None, {"x": np.zeros((1, rows, 64), np.float32)})[0]
    np.testing.assert_array_equal(product, np.zeros((1, rows, 48), np.float32))


def test_a_row_too_faint_to_divide_by_gives_zeros_and_its_neighbour_its_own(operators: Path) -> None:
    generator = np.random.default_rng(3)
    weights = _columns(generator, 64, 48)
    x = generator.standard_normal((2, 64), np.float32)
    x[0] *= np.float32(1e-42)
    product = _linear(operators, weights).run(None, {"x": x})[0]
    np.testing.assert_array_equal(product[0], np.zeros(48, np.float32))
    _close(product[1], _product(x[1], weights))


@pytest.mark.parametrize("rows", [1, 4, 9])
def test_what_is_no_number_makes_its_row_none_and_no_other(operators: Path, rows: int) -> None:
    generator = np.random.default_rng(9)
    x = generator.standard_normal((rows + 1, 64), np.float32)
    x[0, 3] = np.nan
    product = _linear(operators, _columns(generator, 64, 48)).run(None, {"x": x})[0]
    assert np.isnan(product[0]).all()
    assert np.isfinite(product[1:]).all()


def test_no_rows_give_none(operators: Path) -> None:
    linear = _linear(operators, _columns(np.random.default_rng(4), 64, 48))
    assert linear.run(None, {"x": np.zeros((1, 0, 64), np.float32)})[0].shape == (1, 0, 48)


_VALUES, _SCALES = np.zeros((64, 48), np.int8), np.ones(48, np.float32)
_MISFITS: dict[str, tuple[NDArray[np.int8], Array, int]] = {
    "x is narrower": (_VALUES, _SCALES, 63),
    "x is empty": (_VALUES, _SCALES, 0),
    "a scale is missing": (_VALUES, _SCALES[:47], 64),
    "no outputs": (_VALUES[:, :0], _SCALES[:0], 64),
    "no inputs": (_VALUES[:0], _SCALES, 0),
    "one dimension": (_VALUES.reshape(-1), _SCALES, 64),
    "more inputs than a thread's stack takes": (np.zeros((16385, 1), np.int8), _SCALES[:1], 16385),
}


@pytest.mark.parametrize(("values", "scales", "width"), _MISFITS.values(), ids=_MISFITS.keys())
def test_weights_that_do_not_fit_are_an_error(
    operators: Path, values: NDArray[np.int8], scales: Array, width: int
) -> None:
    linear = session(operators, "RowsLinear", ["x"], {"values": values, "scales": scales})
    with pytest.raises(_InvalidArgument, match="weights"):
        linear.run(None, {"x": np.zeros((1, width), np.float32)})


# ---- behind a norm

_WIDTH, _INNER = 64, 136
_FUSED = {"NormRowsLinear": ["one"], "NormRowsMLP": ["gate", "up", "down"]}


def _matrices(kind: str) -> dict[str, quantize.Columns]:
    generator = np.random.default_rng(6)
    shapes = {"one": (_WIDTH, 96), "gate": (_WIDTH, _INNER), "up": (_WIDTH, _INNER), "down": (_INNER, _WIDTH)}
    return {name: _columns(generator, *shapes[name]) for name in _FUSED[kind]}


def _fused(operators: Path, kind: str) -> ort.InferenceSession:
    stored: dict[str, NDArray] = {"norm": np.linspace(0.5, 2, _WIDTH, dtype=np.float32)}
    for name, weights in _matrices(kind).items():
        stored |= {f"{name}.values": weights.values, f"{name}.scales": weights.scales}
    return session(operators, kind, ["base", "added"], stored, ["product", "sum"])


def _inputs(rows: int) -> dict[str, Array]:
    generator = np.random.default_rng(7)
    return {name: generator.standard_normal((rows, _WIDTH), np.float32) for name in ("base", "added")}


@pytest.mark.parametrize("rows", [1, 3, 4, 8, 9])
@pytest.mark.parametrize("kind", _FUSED)
def test_behind_a_norm_it_is_the_product_of_what_the_norm_gives(operators: Path, kind: str, rows: int) -> None:
    inputs, weights = _inputs(rows), _matrices(kind)
    product, total = _fused(operators, kind).run(None, inputs)
    summed = inputs["base"] + inputs["added"]
    np.testing.assert_array_equal(total, summed)
    root = np.sqrt(np.square(summed, dtype=np.float64).mean(axis=-1, keepdims=True) + EPSILON)
    x = (summed / root * np.linspace(0.5, 2, _WIDTH)).astype(np.float32)
    if kind == "NormRowsLinear":
        expected = _product(x, weights["one"])
    else:
        gate, up = _product(x, weights["gate"]), _product(x, weights["up"])
        expected = _product((gate / (1 + np.exp(-gate)) * up).astype(np.float32), weights["down"])
    # An activation next to the middle between two integers may be rounded to the other: a hundredth of the largest.
    np.testing.assert_allclose(product, expected, rtol=0, atol=np.abs(expected).max() / 100)
    assert np.median(np.abs(product - expected)) < 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("kind", _FUSED)
def test_behind_a_norm_a_row_comes_out_the_same_in_any_company(operators: Path, kind: str) -> None:
    inputs, fused = _inputs(33), _fused(operators, kind)
    everything = fused.run(None, inputs)
    for rows in (1, 2, 3, 4, 6, 8, 9, 16):
        part = fused.run(None, {name: value[-rows:] for name, value in inputs.items()})
        for alone, together in zip(part, everything, strict=True):
            np.testing.assert_array_equal(alone, together[-rows:])


@pytest.mark.parametrize("kind", _FUSED)
def test_behind_a_norm_inputs_that_do_not_fit_are_an_error(operators: Path, kind: str) -> None:
    fused, inputs = _fused(operators, kind), _inputs(2)
    with pytest.raises(_InvalidArgument):
        fused.run(None, inputs | {"added": inputs["added"][:1]})
    with pytest.raises(_InvalidArgument):
        fused.run(None, {name: value[:, :-8] for name, value in inputs.items()})


def test_an_mlp_whose_gate_is_narrower_than_what_it_gates_is_an_error(operators: Path) -> None:
    weights = _matrices("NormRowsMLP") | {"gate": _columns(np.random.default_rng(8), _WIDTH, _INNER - 8)}
    stored: dict[str, NDArray] = {"norm": np.ones(_WIDTH, np.float32)}
    for name, matrix in weights.items():
        stored |= {f"{name}.values": matrix.values, f"{name}.scales": matrix.scales}
    with pytest.raises(_InvalidArgument):
        session(operators, "NormRowsMLP", ["base", "added"], stored, ["product", "sum"]).run(None, _inputs(1))

"""Linear layers through the faster library: the same numbers, and only where nothing else looks."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

Load = Callable[[str], ModuleType]
Linear = Callable[..., torch.Tensor]

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no oneDNN"
)
LAYER = nn.Linear(512, 768).requires_grad_(False)
X = torch.linspace(-1, 1, 2 * 40 * 512).reshape(2, 40, 512)


@pytest.fixture
def products(child_module: Load, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, on a processor where it is wanted, counting what it sends to oneDNN."""
    module = child_module("child_products")
    module.asked = 0
    through = module._through_onednn

    def counted(*given: Any) -> torch.Tensor:
        module.asked += 1
        result: torch.Tensor = through(*given)
        return result

    monkeypatch.setitem(sys.modules, "child_products", module)  # as `child.py` does
    monkeypatch.setattr(module, "_through_onednn", counted)
    monkeypatch.setattr(module, "mkl_is_slow", lambda: True)
    return module


@pytest.fixture
def plain() -> Linear:
    return functional.linear


def test_a_large_layer_takes_the_faster_library(products: ModuleType, plain: Linear) -> None:
    with torch.no_grad(), products.fast_products():
        found = LAYER(X)
    expected = X.double() @ LAYER.weight.double().t() + LAYER.bias.double()
    assert products.asked == 1
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    assert functional.linear is plain


def test_attention_and_transformer_layers_take_it_too(products: ModuleType) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(512, 8, 1024, 0.0, batch_first=True, norm_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    padding = torch.arange(40) >= torch.tensor([[40], [29]])
    with torch.no_grad():
        expected = model(X, src_key_padding_mask=padding)
        with products.fast_products():
            found = model(X, src_key_padding_mask=padding)
    # Queries, keys and values in one, the output, and two of the feed-forward part; of two layers.
    assert products.asked == 8
    torch.testing.assert_close(found[~padding], expected[~padding], rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_nested_tensors_give_the_same_frames(products: ModuleType) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(512, 8, 1024, 0.0, batch_first=True)
    model = nn.TransformerEncoder(layer, 1).eval()
    padding = torch.arange(40) >= torch.tensor([[35], [29]])
    with torch.no_grad():
        expected = model(X, src_key_padding_mask=padding)
        with products.fast_products():
            found = model(X, src_key_padding_mask=padding)
    assert not expected[padding].any()  # so they were in use
    assert found.shape == expected.shape
    torch.testing.assert_close(found[~padding], expected[~padding], rtol=1e-4, atol=1e-4)


class Marked(torch.Tensor):
    """A tensor of another class, as quantising libraries make them."""


@pytest.mark.parametrize(
    "given",
    [
        (X.double(), LAYER.weight.double(), LAYER.bias.double()),
        (X.bfloat16(), LAYER.weight.bfloat16(), None),
        (X[:, :4], LAYER.weight, LAYER.bias),  # too small to be worth it
        (X, LAYER.weight.t().contiguous().t(), LAYER.bias),
        (X.as_subclass(Marked), LAYER.weight, LAYER.bias),
        (X, LAYER.weight.to_sparse(), None),
    ],
    ids=["double", "bfloat16", "small", "transposed", "subclass", "sparse"],
)
def test_what_is_not_the_plain_case_is_computed_as_ever(
    products: ModuleType, plain: Linear, given: tuple[Any, ...]
) -> None:
    with torch.no_grad():
        expected = plain(*given)
        with products.fast_products():
            found = functional.linear(*given)
    assert products.asked == 0
    assert type(found) is type(expected)
    assert torch.equal(found, expected)


def test_a_gradient_an_autocast_and_a_transform_are_computed_as_ever(products: ModuleType) -> None:
    with products.fast_products():
        with torch.enable_grad():
            x = X.clone().requires_grad_()
            LAYER(x).sum().backward()
            assert x.grad is not None
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            assert LAYER(X).dtype is torch.bfloat16
        with torch.no_grad():
            torch.testing.assert_close(torch.func.vmap(LAYER)(X), torch.stack([*map(LAYER, X)]))
    assert products.asked == 2  # the rows of the last comparison's right side


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_compiled_and_scripted_layers_work_inside(products: ModuleType) -> None:
    with torch.no_grad():
        expected = LAYER(X)
        with products.fast_products():
            compiled: Any = torch.compile(LAYER, backend="eager")
            layers = {
                "compiled": compiled,
                "scripted": torch.jit.script(LAYER),
                "traced": torch.jit.trace(LAYER, X),  # type: ignore[no-untyped-call]
            }
            for name, layer in layers.items():
                torch.testing.assert_close(layer(X), expected, rtol=1e-5, atol=1e-5, msg=name)


def test_an_error_reads_as_torch_words_it_and_leaves_nothing_behind(
    products: ModuleType, plain: Linear
) -> None:
    fused = torch.backends.mha.get_fastpath_enabled()
    with (
        pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"),
        torch.no_grad(),
        products.fast_products(),
    ):
        LAYER(X[..., :500])
    assert functional.linear is plain
    assert torch.backends.mha.get_fastpath_enabled() is fused


def test_nothing_is_changed_where_mkl_is_fast(
    products: ModuleType, plain: Linear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "mkl_is_slow", lambda: False)
    with products.fast_products():
        assert functional.linear is plain


def test_an_encoder_computes_with_it_where_mkl_is_slow(
    child_module: Load, write_encoder: Callable[..., str], start: Callable[..., Any]
) -> None:
    forward = """
        changed = torch.nn.functional.linear is not torch._C._nn.linear
        return torch.full((len(audio), 1, 4), float(changed)), None
    """
    process = start(write_encoder(forward))
    frames = process.encode([np.zeros(1600, np.float32)], labels=["a window"])[0].frames
    assert bool(frames[0, 0]) is child_module("child_products").mkl_is_slow()

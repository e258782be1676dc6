"""Operations of matrix products and convolutions, counted from their shapes in a program that is not run."""

from math import prod
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn


def matrix_operations(jaxpr: ClosedJaxpr | Jaxpr) -> int:
    """Two per multiply-add.

    What a loop repeats counts as often as it is repeated, where that is known before it runs, and else once.
    """
    inner = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    return sum(_cost(equation) for equation in inner.eqns)


def _cost(equation: JaxprEqn) -> int:
    match equation.primitive.name:
        case "dot_general":
            (contracting, _), _ = equation.params["dimension_numbers"]
            left = _shape(equation.invars[0])
            return 2 * prod(_shape(equation.outvars[0])) * prod(left[axis] for axis in contracting)
        case "conv_general_dilated":
            kernel = _shape(equation.invars[1])
            outputs = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
            return 2 * prod(_shape(equation.outvars[0])) * prod(kernel) // outputs
        case _:
            inner = [value for value in jax.tree.leaves(equation.params, is_leaf=_is_jaxpr) if _is_jaxpr(value)]
            repeats = equation.params["length"] if equation.primitive.name == "scan" else 1
            return repeats * sum(map(matrix_operations, inner))


def _shape(variable: Any) -> tuple[int, ...]:
    return variable.aval.shape


def _is_jaxpr(value: Any) -> bool:
    return isinstance(value, ClosedJaxpr | Jaxpr)

"""What the PyTorch references compute for the cases of `parity.py`; importing this needs PyTorch."""

import numpy as np
import torch
from parity import NUM_STEPS, Arrays, Case
from torch import Tensor

from meanflow_audio_codec.configs.methods import FlowMatchingConfig, MeanFlowConfig
from meanflow_audio_codec.configs.networks import VelocityNetConfig
from meanflow_audio_codec.preprocessing.specs import TokenSpec
from meanflow_audio_codec.references import flow_matching_mnist as flow_matching
from meanflow_audio_codec.references import improved_mean_flow_mnist as improved_mean_flow
from meanflow_audio_codec.references import mean_flow_mnist as mean_flow
from meanflow_audio_codec.references.networks import VelocityNet, load_jax_weights, torch_name_and_value

torch.set_num_threads(1)


class NetworkWithLocalFeatures(VelocityNet):
    """The network with its local features given once: the losses of the references know labels only."""

    given: Tensor | None = None

    def forward(
        self,
        z: Tensor,
        r: Tensor,
        t: Tensor,
        label: Tensor | None = None,
        guidance: Tensor | None = None,
        interval: Tensor | None = None,
        local: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        return super().forward(z, r, t, label, guidance, interval, self.given if local is None else local)


def reference_network(
    config: VelocityNetConfig, spec: TokenSpec, local_channels: int, weights: Arrays
) -> NetworkWithLocalFeatures:
    """The network of this configuration with these weights of ours; guidance as the weights have it."""
    architecture = config.architecture
    net = NetworkWithLocalFeatures(
        spec.channels,
        spec.grid,
        width=architecture.width,
        num_blocks=architecture.num_blocks,
        kernel_size=architecture.kernel_size,
        expansion=architecture.expansion,
        gelu=architecture.gelu,
        response_normalization=architecture.response_normalization,
        condition_width=config.condition_width,
        num_time_frequencies=config.num_time_frequencies,
        max_time_frequency=config.max_time_frequency,
        output=config.output,
        velocity_head=config.velocity_head,
        num_classes=config.num_classes,
        use_guidance="embedding.guidance.kernel" in weights,
        use_guidance_interval="embedding.guidance_interval.kernel" in weights,
        local_channels=local_channels,
    )
    load_jax_weights(net, weights)
    return net


def gradients_by_our_names(net: VelocityNet, weights: Arrays) -> Arrays:
    """The gradients in our layout: the transformation of the weights undone."""
    gradients = {name: parameter.grad.numpy() for name, parameter in net.named_parameters()}
    result = {}
    for name, value in weights.items():
        gradient = gradients[torch_name_and_value(name, value)[0]]
        if name.endswith(".convolution.kernel"):
            gradient = np.moveaxis(gradient[:, 0], 0, -1)
        elif name.endswith(".kernel"):
            gradient = gradient.T
        result[f"gradient.{name}"] = gradient
    return result


def reference_results(case: Case, weights: Arrays, inputs: Arrays) -> Arrays:
    """As `parity.our_results`, by the references."""
    given = {name: torch.tensor(array) for name, array in inputs.items()}
    net = reference_network(case.network, case.spec, case.local_channels, weights)
    net.given = given.get("local")
    x, e, r, t, start = (given[name] for name in ("x", "e", "r", "t", "start"))
    label, drop, scale, interval = (given.get(name) for name in ("label", "drop", "scale", "interval"))
    config = case.method
    weighting = {"power": config.adaptive_weight_power, "epsilon": config.adaptive_weight_epsilon}
    kept = label if label is None else torch.where(drop, net.num_classes, label)
    condition = {"label": kept, "guidance": scale, "interval": interval}
    z = (1.0 - t[:, None, None]) * x + t[:, None, None] * e
    if isinstance(config, FlowMatchingConfig):
        loss, error = flow_matching.flow_matching_loss(net, x, e, t, label, drop=drop, **weighting)
        results = {"v": net(z, t, t, kept)[0]}
        settings = {"scale": config.sampling_scale, "solver": config.solver}
        results["samples"] = flow_matching.sample(net, start, NUM_STEPS, label, **settings)
    else:
        if isinstance(config, MeanFlowConfig):
            reference, tangent, results = mean_flow, e - x, {}
            guidance = {"scale": config.guidance.scale, "mixing": config.guidance.mixing}
            loss, error = mean_flow.mean_flow_loss(net, x, e, r, t, label, drop=drop, **guidance, **weighting)
        else:
            mean, head = net(z, t, t, **condition)
            reference, tangent = improved_mean_flow, (mean if head is None else head).detach()
            results = {"v": tangent}
            loss, error = improved_mean_flow.improved_mean_flow_loss(
                net, x, e, r, t, label, drop=drop, scale=scale, interval=interval, **weighting
            )
        results["u"], results["derivative"], _ = reference.mean_velocity_and_derivative(
            net, z, r, t, tangent, **condition
        )
        results["samples"] = reference.sample(net, start, NUM_STEPS, **condition | {"label": label})
    results |= {"loss": loss, "error": error}
    loss.backward()
    arrays = {name: value.detach().numpy() for name, value in results.items()}
    return arrays | gradients_by_our_names(net, weights)

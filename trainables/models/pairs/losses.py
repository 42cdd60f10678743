"""Loss and metrics of pairs of digits.

The loss is `main_weight * main + aux_weight * (digit_left + digit_right)`. All functions accept
leading axes: `*m` is any number of member axes.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trainables.models.pairs.scores import Scores

MARGIN = 1.0
"""Margin of the contrastive loss: distance from which the loss of a pair of target 0 is 0."""


def pair_losses(
    output: Tensor | Scores,
    target: Mapping[str, Tensor],
    *,
    main_weight: Float[Tensor, "*#m 1"] | float = 1.0,
    aux_weight: Float[Tensor, "*#m 1"] | float = 0.0,
    label_smoothing: Float[Tensor, "*#m 1"] | float = 0.0,
    digit_smoothing: Float[Tensor, "*#m 1"] | float | None = None,
) -> dict[str, Float[Tensor, "*m b"]]:
    """Weighted loss of each pair, in parts: `main`, and `aux` if the network classifies digits.

    The main part is the cross-entropy for two units, and the binary cross-entropy of the logit
    for one unit. With smoothing s the probability of the target is 1 - s / 2, as in
    `torch.nn.CrossEntropyLoss`. If the network returns a distance d, the main part is the
    contrastive loss: d^2 for target 1 and max(0, MARGIN - d)^2 for target 0, weighted by these
    probabilities. The auxiliary part is the sum of the cross-entropies of both digits, averaged
    over the classifiers of an ensemble.

    Args:
        output: Output of the network; a tensor is the comparison scores alone.
        target: `target`, 0 or 1, of shape (*m, b), and `classes`, the digits, (*m, b, 2).
        main_weight: Weight of the comparison loss, of each member.
        aux_weight: Weight of each digit loss, of each member.
        label_smoothing: Share of the target's probability that is spread over both classes.
        digit_smoothing: Share of a digit's probability that is spread over all ten; None for
            none.

    References:
        Hadsell, Chopra and LeCun (2006), "Dimensionality reduction by learning an invariant
        mapping", CVPR.
    """
    scores = Scores(output) if isinstance(output, Tensor) else output
    wanted = target["target"]
    if scores.distance is not None:
        soft = wanted * (1 - label_smoothing) + label_smoothing / 2
        apart = (MARGIN - scores.distance).clamp(min=0)
        main = soft * scores.distance.square() + (1 - soft) * apart.square()
    elif scores.comparison.shape[-1] == 1:
        logit = scores.comparison[..., 0]
        soft = wanted * (1 - label_smoothing) + label_smoothing / 2
        main = F.softplus(logit) - soft * logit
    else:
        log_p = F.log_softmax(scores.comparison, dim=-1)
        hit = log_p.gather(-1, wanted.unsqueeze(-1)).squeeze(-1)
        main = -(1 - label_smoothing) * hit - label_smoothing * log_p.mean(-1)
    if scores.digits is None:
        return {"main": main_weight * main}
    log_p = F.log_softmax(scores.digits, dim=-1)
    classes, copies = _classes_of(scores.digits, target)
    hits = log_p.gather(-1, classes.unsqueeze(-1)).sum((-2, -1))
    if digit_smoothing is not None:
        hits = (1 - digit_smoothing) * hits + digit_smoothing * log_p.mean(-1).sum(-1)
    digits = aux_weight * -(hits / copies)
    return {"main": main_weight * main, "aux": digits}


def comparison_of(output: Tensor | Scores) -> Float[Tensor, "*m b units"]:
    """Comparison scores of an output; a tensor is returned unchanged."""
    return output if isinstance(output, Tensor) else output.comparison


def answers(output: Tensor | Scores) -> Int[Tensor, "*m b"]:
    """Predicted class of each pair, 0 or 1."""
    comparison = comparison_of(output)
    if comparison.shape[-1] == 1:
        return (comparison[..., 0] > 0).long()
    return comparison.argmax(-1)


def comparison_hits(output: Tensor | Scores, target: Mapping[str, Tensor]) -> Bool[Tensor, "*m b"]:
    """Whether the class of each pair is predicted correctly."""
    return answers(output) == target["target"]


def digit_hits(
    output: Tensor | Scores, target: Mapping[str, Tensor]
) -> Float[Tensor, "*m b"] | None:
    """Share of the two digits that is correct; None if the network does not classify digits."""
    if isinstance(output, Tensor) or output.digits is None:
        return None
    classes, _ = _classes_of(output.digits, target)
    return (output.digits.argmax(-1) == classes).float().mean(-1)


def _classes_of(
    digits: Float[Tensor, "*m b images 10"], target: Mapping[str, Tensor]
) -> tuple[Int[Tensor, "*m b images"], int]:
    """Classes of the images that `digits` has scores of, and the number of classifiers."""
    classes = target["classes"]
    copies = digits.shape[-2] // classes.shape[-1]
    return torch.cat([classes] * copies, dim=-1), copies


def probabilities(comparison: Float[Tensor, "*m b units"]) -> Float[Tensor, "*m b 2"]:
    """Probabilities of both classes, from one logit or two scores."""
    one = comparison.shape[-1] == 1
    logit = comparison[..., -1] if one else comparison[..., -1] - comparison[..., 0]
    return torch.stack([(-logit).sigmoid(), logit.sigmoid()], -1)

"""The one loss: `main_weight * main + aux_weight * (digit_left + digit_right)`."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trainables.models.layers import Scores

MARGIN = 1.0
"""Distance from which on the contrastive loss takes a pair of target 0 for far enough apart."""


def pair_losses(
    scores: Scores,
    classes: Int[Tensor, "*m b 2"],
    target: Int[Tensor, "*m b"],
    *,
    main_weight: Float[Tensor, "*m"],
    aux_weight: Float[Tensor, "*m"],
    label_smoothing: Float[Tensor, "*m"],
) -> tuple[Float[Tensor, "*m b"], Float[Tensor, "*m b"]]:
    """Loss of each pair, and what the digits have in it; of one network or of m stacked ones.

    The main part is cross-entropy for two units and binary cross-entropy on the logit for one;
    with smoothing s the target's probability is 1 - s / 2, as in `torch.nn.CrossEntropyLoss`.
    Where the network gives a distance d it is the contrastive loss, d^2 for target 1 and
    max(0, MARGIN - d)^2 for target 0, weighted by these probabilities. The digit parts are
    cross-entropies.

    Returns:
        The loss, and the weighted digit parts of it, which are 0 where the network names none.

    References:
        Hadsell, Chopra and LeCun (2006), "Dimensionality reduction by learning an invariant
        mapping", CVPR.
    """
    main_weight, aux_weight, label_smoothing = (
        value.unsqueeze(-1) for value in (main_weight, aux_weight, label_smoothing)
    )
    if scores.distance is not None:
        soft = target * (1 - label_smoothing) + label_smoothing / 2
        apart = (MARGIN - scores.distance).clamp(min=0)
        main = soft * scores.distance.square() + (1 - soft) * apart.square()
    elif scores.comparison.shape[-1] == 1:
        logit = scores.comparison[..., 0]
        soft = target * (1 - label_smoothing) + label_smoothing / 2
        main = F.softplus(logit) - soft * logit
    else:
        log_p = F.log_softmax(scores.comparison, dim=-1)
        hit = log_p.gather(-1, target.unsqueeze(-1)).squeeze(-1)
        main = -(1 - label_smoothing) * hit - label_smoothing * log_p.mean(-1)
    if scores.digits is None:
        return main_weight * main, torch.zeros_like(main)
    log_p = F.log_softmax(scores.digits, dim=-1)
    digits = aux_weight * -log_p.gather(-1, classes.unsqueeze(-1)).sum((-2, -1))
    return main_weight * main + digits, digits


def comparison_hits(scores: Scores, target: Int[Tensor, "*m b"]) -> Bool[Tensor, "*m b"]:
    """Whether each comparison is right."""
    if scores.comparison.shape[-1] == 1:
        return (scores.comparison[..., 0] > 0) == (target == 1)
    return scores.comparison.argmax(-1) == target


def batch_sums(
    scores: Scores,
    classes: Int[Tensor, "*m b 2"],
    target: Int[Tensor, "*m b"],
    weight: Float[Tensor, "*m b"],
    loss_weights: tuple[Float[Tensor, "*m"], Float[Tensor, "*m"], Float[Tensor, "*m"]],
) -> tuple[Float[Tensor, "*m"], Float[Tensor, "*m"], Float[Tensor, "*m"], Float[Tensor, "*m"]]:
    """Sums over a batch: loss, right comparisons, right digits, what the digits have in the loss.

    `loss_weights` are `main_weight`, `aux_weight` and `label_smoothing`.
    """
    main_weight, aux_weight, label_smoothing = loss_weights
    losses, digit_losses = pair_losses(
        scores,
        classes,
        target,
        main_weight=main_weight,
        aux_weight=aux_weight,
        label_smoothing=label_smoothing,
    )
    hits = (comparison_hits(scores, target) * weight).sum(-1)
    digit_hits = torch.zeros_like(hits)
    if scores.digits is not None:
        digit_hits = ((scores.digits.argmax(-1) == classes) * weight.unsqueeze(-1)).sum((-2, -1))
    digit_loss = (digit_losses.detach() * weight).sum(-1)
    return (losses * weight).sum(-1), hits, digit_hits, digit_loss

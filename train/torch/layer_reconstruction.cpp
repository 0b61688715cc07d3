// See layer_reconstruction.h. Every row of a layer is a least-squares problem of its own, and all
// of them share one matrix, so conjugate gradients run for all rows at once as matrix products.
#include "train/torch/layer_reconstruction.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace strata::train {
namespace {

constexpr int kStepsPerHalving = 4;  ///< of gradual pruning
constexpr int kIterationsBetween = 8;
constexpr int kIterationsFinal = 40;

at::Tensor diagonal_of(const at::Tensor& gram) { return at::diagonal(gram, 0, 1, 2).unsqueeze(1); }

/// One level's share of the quadratic form.
struct Term {
  const LayerMoments* moments;
  at::Tensor mask;
  double weight;
};

/// Conjugate gradients with the diagonal as preconditioner, from `values`, which is zero where no
/// mask is one; only elements where `free` is one move.
void descend(at::Tensor& values, std::span<const Term> terms, const at::Tensor& free,
             int iterations) {
  const auto apply = [&](const at::Tensor& direction) {
    at::Tensor sum;
    for (const Term& term : terms) {
      const at::Tensor part =
          at::bmm(direction * term.mask, term.moments->gram).mul_(term.mask).mul_(term.weight);
      sum = sum.defined() ? sum.add_(part) : part;
    }
    return sum.mul_(free);
  };
  at::Tensor residual;
  at::Tensor diagonal;
  for (const Term& term : terms) {
    const at::Tensor part = term.moments->cross * term.mask * term.weight;
    residual = residual.defined() ? residual.add_(part) : part;
    const at::Tensor own = diagonal_of(term.moments->gram) * term.mask * term.weight;
    diagonal = diagonal.defined() ? diagonal.add_(own) : own;
  }
  residual = (residual * free).sub_(apply(values));
  const at::Tensor inverse = at::where(diagonal > 0, 1 / diagonal, at::zeros_like(diagonal));
  const auto dot = [](const at::Tensor& a, const at::Tensor& b) {
    return (a * b).sum(-1, /*keepdim=*/true);
  };
  at::Tensor z = residual * inverse;
  at::Tensor direction = z.clone();
  at::Tensor rho = dot(residual, z);
  for (int i = 0; i < iterations; ++i) {
    const at::Tensor image = apply(direction);
    const at::Tensor curvature = dot(direction, image);
    const at::Tensor step = at::where(curvature > 0, rho / curvature, at::zeros_like(curvature));
    values.add_(direction * step);
    residual.sub_(image * step);
    z = residual * inverse;
    const at::Tensor next = dot(residual, z);
    const at::Tensor ratio = at::where(rho > 0, next / rho, at::zeros_like(rho));
    direction.mul_(ratio).add_(z);
    rho = next;
  }
}

/// A mask of the `count` largest scores.
at::Tensor largest_scores(const at::Tensor& scores, int64_t count) {
  at::Tensor mask = at::zeros_like(scores);
  if (count <= 0) return mask;
  const at::Tensor chosen = std::get<1>(
      at::topk(scores.flatten(), std::min(count, scores.numel()), -1, true, /*sorted=*/false));
  mask.view({-1}).index_fill_(0, chosen, 1);
  return mask;
}

/// What the error grows by when a weight leaves and the others take over (LeCun et al. 1990,
/// Hassibi and Stork 1993): w^2 / [H^-1]_jj, H^-1 of all columns.
at::Tensor inverse_diagonal(const at::Tensor& gram) {
  const at::Tensor factor = at::linalg_cholesky(gram.to(at::kDouble));
  const at::Tensor inverse = at::cholesky_inverse(factor);
  return at::diagonal(inverse, 0, 1, 2).unsqueeze(1).to(at::kFloat);
}

}  // namespace

void damp(LayerMoments& moments, const at::Tensor& weight, double share) {
  at::Tensor diagonal = at::diagonal(moments.gram, 0, 1, 2);
  const double ridge = std::max(diagonal.mean().item<double>() * share, 1e-12);
  diagonal.add_(ridge);
  moments.cross.add_(weight, ridge);
  moments.energy += ridge * weight.square().sum().item<double>();
}

double relative_error(const LayerMoments& moments, const at::Tensor& weight) {
  const double square = (at::bmm(weight, moments.gram) * weight).sum().item<double>();
  const double product = (weight * moments.cross).sum().item<double>();
  return std::max(0.0, (square - 2 * product + moments.energy) / std::max(moments.energy, 1e-30));
}

MaskPath prune_gradually(const at::Tensor& start, const at::Tensor& frozen,
                         std::span<const LayerMoments> moments, std::span<const int64_t> counts) {
  const size_t levels = counts.size();
  MaskPath path;
  path.masks.resize(levels);
  path.values.resize(levels);
  const at::Tensor movable = frozen.defined() ? 1 - frozen : at::ones_like(start);
  at::Tensor mask = at::ones_like(start);
  at::Tensor values = start.clone();
  int64_t present = start.numel();
  for (size_t k = levels; k-- > 0;) {
    const LayerMoments& level = moments[k];
    const Term whole{&level, mask, 1};
    descend(values, {&whole, 1}, mask * movable, kIterationsBetween);
    const at::Tensor denominator = inverse_diagonal(level.gram);
    const auto from = static_cast<double>(present);
    const auto to = static_cast<double>(std::max<int64_t>(1, counts[k]));
    const int steps =
        std::max(1, static_cast<int>(std::ceil(std::log2(from / to) * kStepsPerHalving)));
    for (int step = 1; step <= steps; ++step) {
      const bool last = step == steps;
      present = last ? counts[k]
                     : std::llround(from * std::pow(to / from, static_cast<double>(step) / steps));
      at::Tensor scores = values.square() / denominator;
      scores = at::where(mask > 0, scores, at::full_like(scores, -1));
      if (frozen.defined()) {
        constexpr double kAlways = std::numeric_limits<float>::max();
        scores = at::where(frozen > 0, at::full_like(scores, kAlways), scores);
      }
      mask = largest_scores(scores, present);
      values.mul_(mask);
      const Term term{&level, mask, 1};
      descend(values, {&term, 1}, mask * movable, last ? kIterationsFinal : kIterationsBetween);
    }
    path.masks[k] = mask;
    path.values[k] = values.clone();
  }
  return path;
}

at::Tensor solve_values(std::span<const LayerMoments> moments, std::span<const at::Tensor> masks,
                        std::span<const double> weights, const at::Tensor& start,
                        const at::Tensor& frozen) {
  std::vector<Term> terms;
  at::Tensor free = at::zeros_like(start);
  for (size_t k = 0; k < masks.size(); ++k) {
    if (weights[k] <= 0) continue;
    terms.push_back({&moments[k], masks[k], weights[k] / std::max(moments[k].energy, 1e-30)});
    free = at::maximum(free, masks[k]);
  }
  if (frozen.defined()) free = free * (1 - frozen);
  at::Tensor values = start.clone();
  descend(values, terms, free, kIterationsFinal);
  return values;
}

}  // namespace strata::train

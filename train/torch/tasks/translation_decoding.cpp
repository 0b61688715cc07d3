#include "train/torch/tasks/translation_decoding.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "models/gnmt.h"
#include "runtime/beam_search.h"

namespace strata::train {
namespace {

std::vector<std::vector<int64_t>> translate_batch(const Network& network,
                                                  std::span<const EncodedPair> pairs,
                                                  std::span<const int64_t> chosen,
                                                  const ModelRoute& route,
                                                  const DecodingOptions& options) {
  const SourceTensors source = source_tensors(pairs, chosen);
  const at::Device device = network.device();
  const std::vector<at::Tensor> encoded = network.forward(
      0, std::vector{source.words.to(device), source.lengths.to(device)}, route, Pass{});
  const auto rows_of_each = [&](const at::Tensor& tensor) {
    return options.beam == 1 ? tensor : tensor.repeat_interleave(options.beam, 0);
  };
  const std::vector<at::Tensor> reads = {rows_of_each(encoded[0]), rows_of_each(encoded[1]),
                                         rows_of_each(source.mask.to(device))};
  const graph::Graph& decoder = network.model().graphs[1];
  const auto rows = static_cast<int64_t>(chosen.size()) * options.beam;
  std::vector<at::Tensor> state;
  for (size_t i = 1 + reads.size(); i < decoder.inputs.size(); ++i) {
    state.push_back(at::zeros({1, rows, encoded[0].size(2)}, encoded[0].options()));
  }

  const int64_t vocabulary = decoder.outputs[0].shape[1].value();
  std::vector<runtime::BeamSearch> searches;
  for (const int64_t i : chosen) {
    const auto length = static_cast<int64_t>(pairs[static_cast<size_t>(i)].source.size());
    searches.emplace_back(runtime::BeamOptions{.beam = options.beam,
                                               .length_penalty = options.length_penalty,
                                               .max_length = runtime::longest_translation(length),
                                               .begin = text::kBegin,
                                               .end = text::kEnd},
                          vocabulary);
  }
  const at::Tensor words = at::empty({1, rows}, at::kLong);
  const at::Tensor parents = at::empty({rows}, at::kLong);
  while (!std::all_of(searches.begin(), searches.end(),
                      [](const runtime::BeamSearch& search) { return search.done(); })) {
    for (size_t s = 0; s < searches.size(); ++s) {
      const std::span<const int64_t> last = searches[s].last_words();
      std::copy(last.begin(), last.end(),
                words.data_ptr<int64_t>() + static_cast<int64_t>(s) * options.beam);
    }
    std::vector<at::Tensor> inputs = {words.to(device)};
    inputs.insert(inputs.end(), reads.begin(), reads.end());
    inputs.insert(inputs.end(), state.begin(), state.end());
    const std::vector<at::Tensor> outputs = network.forward(1, inputs, route, Pass{});
    const at::Tensor logits = outputs[0].to(at::kCPU).contiguous();
    for (size_t s = 0; s < searches.size(); ++s) {
      const auto first = static_cast<int64_t>(s) * options.beam;
      searches[s].advance({logits.data_ptr<float>() + first * vocabulary,
                           static_cast<size_t>(options.beam * vocabulary)});
      for (int64_t row = 0; row < options.beam; ++row) {
        parents.data_ptr<int64_t>()[first + row] =
            first + searches[s].parents()[static_cast<size_t>(row)];
      }
    }
    for (size_t i = 0; i < state.size(); ++i) {
      state[i] =
          options.beam == 1 ? outputs[i + 1] : outputs[i + 1].index_select(1, parents.to(device));
    }
  }
  std::vector<std::vector<int64_t>> translations;
  for (const runtime::BeamSearch& search : searches) translations.push_back(search.best());
  return translations;
}

}  // namespace

std::vector<std::vector<int64_t>> translate_all(const Network& network,
                                                std::span<const EncodedPair> pairs,
                                                const ModelRoute& route,
                                                const DecodingOptions& options) {
  std::vector<int64_t> order(pairs.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return pairs[static_cast<size_t>(a)].source.size() <
           pairs[static_cast<size_t>(b)].source.size();
  });
  std::vector<std::vector<int64_t>> translations(pairs.size());
  const auto batch_size = static_cast<size_t>(options.batch_size);
  for (size_t begin = 0; begin < order.size(); begin += batch_size) {
    const auto chosen = std::span(order).subspan(begin, std::min(batch_size, order.size() - begin));
    std::vector<std::vector<int64_t>> found =
        translate_batch(network, pairs, chosen, route, options);
    for (size_t i = 0; i < chosen.size(); ++i) {
      translations[static_cast<size_t>(chosen[i])] = std::move(found[i]);
    }
  }
  return translations;
}

}  // namespace strata::train

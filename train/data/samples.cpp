// What all kinds of samples share, and images as samples.
#include "train/data/samples.h"

#include <algorithm>
#include <utility>

namespace strata::data {
namespace {

class ImageSamples final : public Samples {
 public:
  ImageSamples(Dataset dataset, Normalisation normalisation, std::string input)
      : dataset_(std::move(dataset)), normalisation_(std::move(normalisation)) {
    name_ = dataset_.name;
    count_ = dataset_.count;
    inputs_ = {{std::move(input),
                graph::DataType::kFloat32,
                {dataset_.channels, dataset_.height, dataset_.width}}};
    labels_.assign(dataset_.labels.begin(), dataset_.labels.end());
  }

  void read(std::span<const int64_t> indices, size_t /*input*/, void* out) const override {
    to_float(dataset_, indices, normalisation_, static_cast<float*>(out));
  }

  void read_augmented(std::span<const int64_t> indices, size_t /*input*/,
                      const Augmentation& augmentation, const RandomKey& key, int threads,
                      void* out) const override {
    assemble_batch(dataset_, indices, augmentation, normalisation_, key, static_cast<float*>(out),
                   threads);
  }

 private:
  Dataset dataset_;
  Normalisation normalisation_;
};

}  // namespace

int64_t SampleInput::elements() const {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  return count;
}

size_t SampleInput::bytes() const {
  return static_cast<size_t>(elements()) * graph::element_size(type);
}

void Samples::read_augmented(std::span<const int64_t> indices, size_t input,
                             const Augmentation& /*augmentation*/, const RandomKey& /*key*/,
                             int /*threads*/, void* out) const {
  read(indices, input, out);
}

std::vector<int64_t> choose_samples(const Samples& samples, int64_t limit) {
  if (!samples.labels().empty()) {
    const std::vector<int32_t> labels(samples.labels().begin(), samples.labels().end());
    return spread_over_classes(labels, limit);
  }
  const int64_t count = limit > 0 ? std::min(limit, samples.count()) : samples.count();
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < count; ++i) chosen.push_back(i * samples.count() / count);
  return chosen;
}

std::unique_ptr<Samples> image_samples(Dataset dataset, Normalisation normalisation,
                                       std::string input) {
  return std::make_unique<ImageSamples>(std::move(dataset), std::move(normalisation),
                                        std::move(input));
}

}  // namespace strata::data

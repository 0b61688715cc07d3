// strata classify: what is in these images, or of which class the nodes of a graph are; at a level,
// or by a deadline.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>
#include <numeric>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "format/reader.h"
#include "tools/strata/answer_options.h"
#include "tools/strata/image_loading.h"
#include "tools/strata/node_inputs.h"
#include "tools/strata/table.h"
#include "tools/strata/verb.h"
#include "train/data/file.h"
#include "train/data/image.h"
#include "train/error.h"

namespace strata::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStdin = "-";

/// Probabilities from a model's answer, unless the model has made them already.
void to_probabilities(std::span<float> answer) {
  const float largest = *std::max_element(answer.begin(), answer.end());
  float sum = 0;
  for (float& value : answer) {
    value = std::exp(value - largest);
    sum += value;
  }
  for (float& value : answer) value /= sum;
}

bool ends_with_softmax(const graph::Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const graph::Node& node) {
    return node.op_type == "Softmax" && node.outputs.front() == graph.outputs.front().name;
  });
}

bool is_image_file(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

bool is_image(const std::vector<uint8_t>& bytes) {
  return bytes.size() > 1 &&
         ((bytes[0] == 0xff && bytes[1] == 0xd8) || (bytes[0] == 0x89 && bytes[1] == 'P'));
}

std::vector<uint8_t> read_stdin() { return {std::istreambuf_iterator<char>(std::cin), {}}; }

/// One image, still encoded; `bytes` empty: in the file of that name.
struct EncodedImage {
  std::string name;
  std::vector<uint8_t> bytes;
};

/// Files as they are, folders as the images below them, "-" as an image or a list of files on
/// standard input.
std::vector<EncodedImage> find_images(const std::vector<std::string>& words) {
  std::vector<EncodedImage> images;
  for (const std::string& word : words) {
    if (word == kStdin) {
      std::vector<uint8_t> bytes = read_stdin();
      if (is_image(bytes)) {
        images.push_back({word, std::move(bytes)});
        continue;
      }
      std::istringstream lines(std::string(bytes.begin(), bytes.end()));
      for (std::string line; std::getline(lines, line);) {
        if (!line.empty()) images.push_back({line, {}});
      }
    } else if (fs::is_directory(word)) {
      std::vector<std::string> found;
      for (const auto& entry : fs::recursive_directory_iterator(word)) {
        if (entry.is_regular_file() && is_image_file(entry.path())) found.push_back(entry.path());
      }
      if (found.empty()) throw Error("'" + word + "' has no .jpg, .jpeg or .png file in it");
      std::sort(found.begin(), found.end());
      for (std::string& path : found) images.push_back({std::move(path), {}});
    } else {
      images.push_back({word, {}});
    }
  }
  return images;
}

class ClassifyVerb : public Verb {
 public:
  ClassifyVerb()
      : Verb("classify", "Say what is in images, or of which class the nodes of a graph are",
             "  strata classify photos.strata cat.jpg dog.png\n"
             "  strata classify photos.strata holiday/ --top 3 --json\n"
             "  find . -name '*.jpg' | strata classify photos.strata - --level 0\n"
             "  strata classify photos.strata cat.jpg --deadline-ms 20 --threads 1\n"
             "  strata classify cora.strata cora.npz --nodes 0,17") {}

  void declare(CLI::App& app) override {
    app.add_option("FILE", file_, "The .strata file")->required();
    app.add_option(
           "INPUT", inputs_,
           "Images, folders of them, or the .npz file of a graph; - reads an image, a graph, "
           "or names of images line by line from standard input")
        ->required();
    app.add_option("--top", top_, "Classes to show of each")
        ->type_name("N")
        ->check(CLI::Range(1, 1000).description(""))
        ->capture_default_str();
    app.add_flag("--convert", convert_, "Make images of another size or colour fit");
    app.add_option("--nodes", nodes_, "Of a graph: which nodes (default: all)")
        ->type_name("N,...")
        ->delimiter(',');
    answer_.declare(app);
  }

  void run(const Console& console) override {
    const auto reader = value_or_throw(format::Reader::open(file_));
    names_ = class_names(reader->model());
    has_probabilities_ = ends_with_softmax(reader->model().graphs.front());
    results_ = Json::array();
    late_ = 0;
    if (classifies_nodes(reader->model())) {
      classify_nodes(console, reader);
    } else {
      if (!nodes_.empty()) throw UsageError("--nodes is for graphs; '" + file_ + "' takes images");
      classify_images(console, reader);
    }
    if (late_ > 0) {
      console.note(std::to_string(late_) + " of " + std::to_string(answers_) +
                   (answers_ == 1 ? " answer was" : " answers were") + " late");
    }
    if (!console.json) return;
    Json document = console.document();
    document["model"] = file_;
    document["results"] = std::move(results_);
    console.result(document, "");
  }

 private:
  void classify_images(const Console& console,
                       const std::shared_ptr<const format::Reader>& reader) {
    const auto session =
        value_or_throw(runtime::Session::create(reader, answer_.session_options()));
    const ImageInput input = image_input(*session, *reader);
    const runtime::RunOptions options = answer_.run_options(*session, file_);
    std::vector<float> pixels(static_cast<size_t>(input.shape.elements()));
    std::vector<float> answer(static_cast<size_t>(input.classes));
    for (const EncodedImage& encoded : find_images(inputs_)) {
      stop_if_interrupted();
      to_pixels(encoded, input, pixels);
      const runtime::InputView in{pixels};
      const runtime::OutputView out{answer};
      throw_if_error(session->run({&in, 1}, {&out, 1}, options));
      count(session->last_run());
      Json result = {{"input", encoded.name}};
      result.update(route_json(session->last_run()));
      add(console, std::move(result), encoded.name, answer);
    }
  }

  void to_pixels(const EncodedImage& encoded, const ImageInput& input,
                 std::vector<float>& pixels) const {
    const std::string name = encoded.name == kStdin ? "standard input" : encoded.name;
    data::Image image = data::decode_image(
        encoded.bytes.empty() ? data::read_file(encoded.name) : encoded.bytes, "'" + name + "'");
    if (image.shape != input.shape) {
      if (!convert_) {
        throw Error("'" + name + "' is " + data::to_string(image.shape) + ", but '" + file_ +
                    "' takes " + data::to_string(input.shape) + "; --convert makes it fit");
      }
      image = data::convert(image, input.shape);
    }
    data::Dataset one;
    one.count = 1;
    one.channels = image.shape.channels;
    one.height = image.shape.height;
    one.width = image.shape.width;
    one.pixels = std::move(image.pixels);
    const int64_t first = 0;
    data::to_float(one, {&first, 1}, input.normalisation, pixels.data());
  }

  void classify_nodes(const Console& console, const std::shared_ptr<const format::Reader>& reader) {
    for (const std::string& path : inputs_) {
      stop_if_interrupted();
      const NodeInputs inputs(path == kStdin
                                  ? data::parse_node_graph(read_stdin(), "standard input")
                                  : data::load_node_graph(path),
                              *reader);
      runtime::SessionOptions session_options = answer_.session_options();
      session_options.bindings = inputs.bindings();
      const auto session = value_or_throw(runtime::Session::create(reader, session_options));
      const runtime::RunOptions options = answer_.run_options(*session, file_);
      const auto classes = static_cast<size_t>(session->outputs().front().shape[1].value());
      std::vector<float> answers(static_cast<size_t>(inputs.graph().nodes) * classes);
      const runtime::OutputView out(answers);
      throw_if_error(session->run(inputs.views(), {&out, 1}, options));
      count(session->last_run());
      for (const int64_t node : chosen_nodes(inputs.graph().nodes, path)) {
        Json result = {{"input", path}, {"node", node}};
        result.update(route_json(session->last_run()));
        add(console, std::move(result), std::to_string(node),
            std::span(answers).subspan(static_cast<size_t>(node) * classes, classes));
      }
    }
  }

  [[nodiscard]] std::vector<int64_t> chosen_nodes(int64_t count, const std::string& path) const {
    if (nodes_.empty()) {
      std::vector<int64_t> all(static_cast<size_t>(count));
      std::iota(all.begin(), all.end(), 0);
      return all;
    }
    for (const int64_t node : nodes_) {
      if (node < 0 || node >= count) {
        throw Error("'" + path + "' has no node " + std::to_string(node) + ", it has nodes 0 to " +
                    std::to_string(count - 1));
      }
    }
    return nodes_;
  }

  void count(const runtime::RunReport& report) {
    ++answers_;
    if (!report.met) ++late_;
  }

  [[nodiscard]] std::string class_name(size_t index) const {
    return index < names_.size() ? names_[index] : std::to_string(index);
  }

  /// Shows one answer at once, or keeps it for the document.
  void add(const Console& console, Json result, const std::string& what, std::span<float> answer) {
    if (!has_probabilities_) to_probabilities(answer);
    std::vector<size_t> order(answer.size());
    std::iota(order.begin(), order.end(), size_t{0});
    const auto shown = std::min(order.size(), static_cast<size_t>(top_));
    std::partial_sort(
        order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(),
        [&](size_t a, size_t b) { return answer[a] != answer[b] ? answer[a] > answer[b] : a < b; });
    order.resize(shown);
    std::string line = what;
    result["classes"] = Json::array();
    for (const size_t index : order) {
      const double probability = answer[index];
      result["classes"].push_back(
          {{"class", class_name(index)}, {"index", index}, {"probability", probability}});
      line += '\t' + class_name(index) + '\t' + format_fixed(100 * probability, 2) + " %";
    }
    if (console.json) {
      results_.push_back(std::move(result));
    } else {
      console.result({}, line + '\n');
    }
  }

  std::string file_;
  std::vector<std::string> inputs_;
  int top_ = 1;
  bool convert_ = false;
  std::vector<int64_t> nodes_;
  AnswerOptions answer_;
  std::vector<std::string> names_;
  bool has_probabilities_ = false;
  Json results_;
  int64_t answers_ = 0;
  int64_t late_ = 0;
};

}  // namespace

std::unique_ptr<Verb> make_classify_verb() { return std::make_unique<ClassifyVerb>(); }

}  // namespace strata::cli

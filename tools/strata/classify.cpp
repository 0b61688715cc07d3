// strata classify: of which class images, point clouds or the nodes of a graph are; at a level, or
// by a deadline.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format/reader.h"
#include "tools/strata/answer_options.h"
#include "tools/strata/image_loading.h"
#include "tools/strata/input_files.h"
#include "tools/strata/node_inputs.h"
#include "tools/strata/point_input.h"
#include "tools/strata/table.h"
#include "tools/strata/tuning_option.h"
#include "tools/strata/verb.h"
#include "train/data/file.h"
#include "train/data/image.h"
#include "train/data/point_cloud.h"
#include "train/error.h"

namespace strata::cli {
namespace {

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

/// A JPEG or PNG file begins so.
bool is_image(std::string_view bytes) {
  return bytes.starts_with("\xff\xd8") || bytes.starts_with("\x89P");
}

constexpr InputKind kImageFiles = {".jpg .jpeg .png", is_image};

/// Text that begins with a number, or nothing, which is a cloud without points.
bool is_cloud(std::string_view bytes) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = bytes.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return true;
  const std::string_view word = bytes.substr(begin, bytes.find_first_of(", \t\r\n", begin) - begin);
  float number = 0;
  const auto [end, failure] = std::from_chars(word.data(), word.data() + word.size(), number);
  return failure != std::errc::invalid_argument && end == word.data() + word.size();
}

constexpr InputKind kCloudFiles = {".txt .xyz .csv .h5 .hdf5", is_cloud};

class ClassifyVerb : public Verb {
 public:
  ClassifyVerb()
      : Verb("classify", "Say of which class images, point clouds or the nodes of a graph are",
             "  strata classify photos.strata cat.jpg dog.png\n"
             "  strata classify photos.strata holiday/ --top 3 --json\n"
             "  find . -name '*.jpg' | strata classify photos.strata - --level 0\n"
             "  strata classify photos.strata cat.jpg --deadline-ms 20 --threads 1\n"
             "  strata classify shapes.strata chair.txt scans.h5 --level 0\n"
             "  strata classify cora.strata cora.npz --nodes 0,17") {}

  void declare(CLI::App& app) override {
    app.add_option("FILE", file_, "The .strata file")->required();
    app.add_option(
           "INPUT", inputs_,
           "Images or point clouds, folders of them, or the .npz file of a graph; - reads one of "
           "them, or names of images or clouds line by line, from standard input")
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
    add_tuning_option(app, tuning_);
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
      const bool clouds = classifies_points(reader->model());
      if (!nodes_.empty()) {
        throw UsageError("--nodes is for graphs; '" + file_ + "' takes " +
                         (clouds ? "point clouds" : "images"));
      }
      clouds ? classify_clouds(console, reader) : classify_images(console, reader);
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
  [[nodiscard]] runtime::SessionOptions session_options() const {
    runtime::SessionOptions options = answer_.session_options();
    options.tuning = tuning_;
    return options;
  }

  void classify_images(const Console& console,
                       const std::shared_ptr<const format::Reader>& reader) {
    const auto session = value_or_throw(runtime::Session::create(reader, session_options()));
    note_tuning(*session, console);
    const ImageInput input = image_input(*session, *reader);
    const runtime::RunOptions options = answer_.run_options(*session, file_);
    std::vector<float> pixels(static_cast<size_t>(input.shape.elements()));
    std::vector<float> answer(static_cast<size_t>(input.classes));
    for (const InputFile& encoded : find_inputs(inputs_, kImageFiles)) {
      to_pixels(encoded, input, pixels);
      answer_one(console, *session, options, pixels, answer, {{"input", encoded.name}},
                 encoded.name);
    }
  }

  void classify_clouds(const Console& console,
                       const std::shared_ptr<const format::Reader>& reader) {
    const auto session = value_or_throw(runtime::Session::create(reader, session_options()));
    note_tuning(*session, console);
    const PointInput input = point_input(*reader);
    const runtime::RunOptions options = answer_.run_options(*session, file_);
    std::vector<float> answer(static_cast<size_t>(input.classes));
    for (const InputFile& file : find_inputs(inputs_, kCloudFiles)) {
      const data::PointClouds clouds = to_clouds(file, input);
      const auto floats = static_cast<size_t>(clouds.points * clouds.width());
      for (int64_t i = 0; i < clouds.count; ++i) {
        const std::string name =
            clouds.count == 1 ? file.name : file.name + ":" + std::to_string(i);
        answer_one(console, *session, options, {clouds.cloud(i), floats}, answer,
                   {{"input", file.name}, {"cloud", i}}, name);
      }
    }
  }

  static data::PointClouds to_clouds(const InputFile& file, const PointInput& input) {
    if (!file.is_stdin()) return data::load_cloud_file(file.name, input.points, input.normals);
    data::PointClouds clouds;
    clouds.points = input.points;
    clouds.normals = input.normals;
    clouds.count = 1;
    data::parse_cloud({reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()},
                      file.described(), input.points, input.normals, clouds.values);
    data::normalise_cloud(clouds.values.data(), clouds.points, clouds.width());
    return clouds;
  }

  /// Runs one sample and shows its answer, with `result` for the document.
  void answer_one(const Console& console, runtime::Session& session,
                  const runtime::RunOptions& options, std::span<const float> sample,
                  std::vector<float>& answer, Json result, const std::string& name) {
    stop_if_interrupted();
    const runtime::InputView in{sample};
    const runtime::OutputView out{answer};
    throw_if_error(session.run({&in, 1}, {&out, 1}, options));
    count(session.last_run());
    result.update(route_json(session.last_run()));
    add(console, std::move(result), name, answer);
  }

  void to_pixels(const InputFile& encoded, const ImageInput& input,
                 std::vector<float>& pixels) const {
    const std::string name = encoded.described();
    data::Image image = data::decode_image(
        encoded.is_stdin() ? encoded.bytes : data::read_file(encoded.name), name);
    if (image.shape != input.shape) {
      if (!convert_) {
        throw Error(name + " is " + data::to_string(image.shape) + ", but '" + file_ + "' takes " +
                    data::to_string(input.shape) + "; --convert makes it fit");
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
      const NodeInputs inputs(path == "-" ? data::parse_node_graph(read_stdin(), "standard input")
                                          : data::load_node_graph(path),
                              *reader);
      runtime::SessionOptions options_here = session_options();
      options_here.bindings = inputs.bindings();
      const auto session = value_or_throw(runtime::Session::create(reader, options_here));
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
  std::string tuning_;
  std::vector<std::string> names_;
  bool has_probabilities_ = false;
  Json results_;
  int64_t answers_ = 0;
  int64_t late_ = 0;
};

}  // namespace

std::unique_ptr<Verb> make_classify_verb() { return std::make_unique<ClassifyVerb>(); }

}  // namespace strata::cli

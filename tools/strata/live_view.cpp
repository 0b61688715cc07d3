#include "tools/strata/live_view.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "route/proportion.h"
#include "tools/strata/table.h"
#include "train/progress.h"

namespace strata::cli {
namespace {

using runtime::LiveInference;
using runtime::LiveSnapshot;

constexpr double kNsPerSecond = 1e9;
constexpr int kLabelWidth = 14;
constexpr int kNoteWidth = 10;
constexpr std::array<const char*, 8> kBlocks = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

/// Text that knows how wide it looks: colours take no room, a block is one column.
class Line {
 public:
  explicit Line(int columns) : columns_(columns) {}

  Line& plain(const std::string& text) {  // ASCII alone
    const int room = std::max(0, columns_ - used_);
    out_ += text.substr(0, static_cast<size_t>(room));
    used_ += std::min(room, static_cast<int>(text.size()));
    return *this;
  }
  Line& glyph(const std::string& one_column) {
    if (used_ < columns_) {
      out_ += one_column;
      ++used_;
    }
    return *this;
  }
  Line& style(const char* code) {
    out_ += "\x1b[";
    out_ += code;
    out_ += 'm';
    return *this;
  }
  Line& reset() { return style("0"); }
  [[nodiscard]] int room() const { return columns_ - used_; }
  [[nodiscard]] const std::string& text() const { return out_; }

 private:
  int columns_;
  int used_ = 0;
  std::string out_;
};

/// Amber for the sparsest level, blue for the least sparse one, as in the report.
const char* level_style(int level, int count) {
  constexpr std::array<const char*, 4> kStyles = {"33", "35", "36", "34"};
  if (count <= 1) return kStyles.back();
  const int last = static_cast<int>(kStyles.size()) - 1;
  return kStyles[static_cast<size_t>(std::clamp(level * last / (count - 1), 0, last))];
}

std::string miss_text(const LiveSnapshot& state) {
  if (state.inferences == 0) return "no inference yet";
  const double rate = static_cast<double>(state.misses) / static_cast<double>(state.inferences);
  std::string text = format_count(state.misses) + (state.misses == 1 ? " miss" : " misses");
  if (state.misses > 0) {
    text += " (" + format_fixed(100 * rate, 2) + " %, " + format_fixed(route::nines(rate), 1) +
            " nines)";
  }
  return text;
}

std::string age(const LiveSnapshot& state, int64_t now_ns) {
  return format_duration(static_cast<double>(now_ns - state.started_ns) / kNsPerSecond);
}

const LiveInference& last_inference(const LiveSnapshot& state) {
  const int64_t index = std::max(int64_t{0}, state.inferences - 1) % LiveSnapshot::kHistory;
  return state.history[static_cast<size_t>(index)];
}

std::string slack_text(const LiveSnapshot& state) {
  return std::isfinite(state.slack_ms) ? format_fixed(state.slack_ms, 2) + " ms" : "no deadline";
}

/// The most recent inferences that fit, oldest first.
std::vector<LiveInference> recent(const LiveSnapshot& state, int wanted) {
  const int64_t count =
      std::min({state.inferences, int64_t{LiveSnapshot::kHistory}, int64_t{std::max(0, wanted)}});
  std::vector<LiveInference> list;
  for (int64_t i = state.inferences - count; i < state.inferences; ++i) {
    list.push_back(state.history[static_cast<size_t>(i % LiveSnapshot::kHistory)]);
  }
  return list;
}

Line labelled(const std::string& label, int columns) {
  Line line(columns);
  line.style("2").plain(
      label + std::string(std::max(1, kLabelWidth - static_cast<int>(label.size())), ' '));
  line.reset();
  return line;
}

std::string level_bar(const LiveSnapshot& state, int level, int columns) {
  double total = 0;
  for (int k = 0; k < state.level_count; ++k) total += state.level_ns[static_cast<size_t>(k)];
  const double share = total > 0 ? state.level_ns[static_cast<size_t>(level)] / total : 0;
  Line line = labelled("  level " + std::to_string(level), columns);
  const int width = std::max(0, line.room() - kNoteWidth);
  const int filled = static_cast<int>(std::lround(share * width));
  line.style(level_style(level, state.level_count));
  for (int i = 0; i < width; ++i) {
    if (i < filled) {
      line.glyph("█");
    } else {
      line.plain(" ");
    }
  }
  line.reset().plain("  " + format_fixed(100 * share, 1) + " %");
  return line.text();
}

/// One column per inference; `of` gives a height, `top` is what fills a column.
template <typename Height>
std::string history_row(const LiveSnapshot& state, const std::string& label, double top,
                        int columns, const Height& of) {
  Line line = labelled(label, columns);
  for (const LiveInference& entry : recent(state, line.room())) {
    const double share = top > 0 ? of(entry) / top : 0;
    const int last = static_cast<int>(kBlocks.size()) - 1;
    const auto block =
        static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * static_cast<double>(last)));
    line.style(entry.missed != 0 ? "31;1" : level_style(entry.last_level, state.level_count));
    line.glyph(kBlocks[static_cast<size_t>(block)]);
  }
  return line.reset().text();
}

std::string level_row(const LiveSnapshot& state, int columns) {
  Line line = labelled("level", columns);
  for (const LiveInference& entry : recent(state, line.room())) {
    line.style(level_style(entry.last_level, state.level_count));
    line.plain(std::string(1, "0123456789abcdef"[entry.last_level % LiveSnapshot::kLevels]));
  }
  return line.reset().text();
}

/// A bound for the height of history rows: what nearly all of them stay below.
template <typename Height>
double usual_top(const LiveSnapshot& state, const Height& of) {
  std::vector<double> heights;
  for (const LiveInference& entry : recent(state, LiveSnapshot::kHistory)) {
    heights.push_back(of(entry));
  }
  if (heights.empty()) return 1;
  std::sort(heights.begin(), heights.end());
  return heights[(heights.size() - 1) * 95 / 100];
}

}  // namespace

std::string live_line(const LiveSnapshot& state, int64_t now_ns) {
  const LiveInference& last = last_inference(state);
  std::string line = age(state, now_ns) + "  " + LiveSnapshot::text(state.policy) + "  " +
                     format_count(state.inferences) +
                     (state.inferences == 1 ? " inference  " : " inferences  ") + miss_text(state);
  if (state.inferences > 0) {
    line += "  level " + std::to_string(last.first_level);
    if (last.last_level != last.first_level) line += " to " + std::to_string(last.last_level);
    line += "  slowdown " + format_fixed(state.slowdown, 2) + "x  slack " + slack_text(state);
  }
  if (state.finished != 0) line += "  finished";
  return line;
}

std::vector<std::string> live_screen(const LiveSnapshot& state, int64_t now_ns, ViewSize size) {
  const int columns = std::max(1, size.columns);
  std::vector<std::string> lines;
  Line title(columns);
  title.style("1").plain(LiveSnapshot::text(state.model)).reset();
  title.plain("  process " + std::to_string(state.process) + "  up " + age(state, now_ns));
  if (state.finished != 0) title.style("1").plain("  finished").reset();
  lines.push_back(title.text());

  const auto add = [&](const std::string& label, const std::string& value) {
    lines.push_back(labelled(label, columns).plain(value).text());
  };
  const std::string deadline = std::isfinite(state.deadline_ms)
                                   ? format_fixed(state.deadline_ms, 2) + " ms"
                                   : std::string("none");
  add("policy", LiveSnapshot::text(state.policy));
  add("deadline", deadline + ", " + std::to_string(state.threads) +
                      (state.threads == 1 ? " thread" : " threads") + ", batch " +
                      std::to_string(state.batch));
  if (state.load[0] != 0) add("beside it", LiveSnapshot::text(state.load));
  add("inferences", format_count(state.inferences) + ", " + format_count(state.reroutes) +
                        (state.reroutes == 1 ? " reroute" : " reroutes"));
  Line misses = labelled("misses", columns);
  misses.style(state.misses > 0 ? "31;1" : "32").plain(miss_text(state)).reset();
  lines.push_back(misses.text());
  if (state.inferences > 0) {
    const LiveInference& last = last_inference(state);
    add("slowdown", format_fixed(state.slowdown, 2) + "x");
    add("latency", format_fixed(last.latency_ms, 2) + " ms, slack " + slack_text(state));
  }
  if (state.densest_metric != state.sparsest_metric) {
    add("accuracy", format_fixed(state.metric, 2) + ", level 0 alone " +
                        format_fixed(state.sparsest_metric, 2) + ", level " +
                        std::to_string(state.level_count - 1) + " alone " +
                        format_fixed(state.densest_metric, 2));
  }
  lines.emplace_back();
  lines.push_back(labelled("time spent at", columns).text());
  for (int level = state.level_count - 1; level >= 0; --level) {
    lines.push_back(level_bar(state, level, columns));
  }
  lines.emplace_back();
  const auto latency = [](const LiveInference& entry) -> double { return entry.latency_ms; };
  const auto slowdown = [](const LiveInference& entry) -> double { return entry.slowdown; };
  const double top =
      std::isfinite(state.deadline_ms) ? state.deadline_ms : usual_top(state, latency);
  lines.push_back(history_row(state, "latency", top, columns, latency));
  lines.push_back(history_row(state, "slowdown", usual_top(state, slowdown), columns, slowdown));
  lines.push_back(level_row(state, columns));
  Line hint(columns);
  hint.style("2").plain(
      "one column per inference; a full block is the deadline; red missed it; q quits");
  lines.push_back(hint.reset().text());
  if (lines.size() > static_cast<size_t>(std::max(1, size.rows))) {
    lines.resize(static_cast<size_t>(std::max(1, size.rows)));
  }
  return lines;
}

Json live_json(const LiveSnapshot& state, int64_t now_ns) {
  const LiveInference& last = last_inference(state);
  Json json;
  json["process"] = state.process;
  json["model"] = LiveSnapshot::text(state.model);
  json["policy"] = LiveSnapshot::text(state.policy);
  json["load"] = LiveSnapshot::text(state.load);
  json["seconds"] = static_cast<double>(now_ns - state.started_ns) / kNsPerSecond;
  json["finished"] = state.finished != 0;
  json["threads"] = state.threads;
  json["batch"] = state.batch;
  json["deadline_ms"] = std::isfinite(state.deadline_ms) ? Json(state.deadline_ms) : Json();
  json["inferences"] = state.inferences;
  json["misses"] = state.misses;
  json["reroutes"] = state.reroutes;
  json["slowdown"] = state.slowdown;
  json["slack_ms"] = std::isfinite(state.slack_ms) ? Json(state.slack_ms) : Json();
  json["latency_ms"] = last.latency_ms;
  json["level"] = last.last_level;
  json["levels"] = Json::array();
  double total = 0;
  for (int k = 0; k < state.level_count; ++k) total += state.level_ns[static_cast<size_t>(k)];
  for (int k = 0; k < state.level_count; ++k) {
    const double ns = state.level_ns[static_cast<size_t>(k)];
    json["levels"].push_back({{"level", k}, {"time_share", total > 0 ? ns / total : 0}});
  }
  return json;
}

}  // namespace strata::cli

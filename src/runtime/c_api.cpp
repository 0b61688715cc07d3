// The C interface (include/strata/strata.h) over Reader and Session. Nothing is thrown: the last
// failure of each thread waits in strata_last_error().
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <unistd.h>

#include "core/cancellation.h"
#include "core/clock.h"
#include "format/reader.h"
#include "runtime/live_state.h"
#include "runtime/profile_measurement.h"
#include "runtime/session.h"
#include "strata/strata.h"

struct strata_cancellation {
  strata::Cancellation cancellation;
};

struct strata_model {
  std::shared_ptr<const strata::format::Reader> reader;
};

struct strata_session {
  std::unique_ptr<strata::runtime::Session> session;
  // Sizes and types stay; a run fills in the pointers.
  std::vector<strata::runtime::InputView> inputs;
  std::vector<strata::runtime::OutputView> outputs;
  // What others are shown; null: nothing.
  std::unique_ptr<strata::runtime::LiveStateWriter> live;
  strata::runtime::LiveSnapshot shown;
  int64_t batch = 1;
};

namespace {

static_assert(STRATA_INTERNAL == static_cast<int>(strata::StatusCode::kInternal));
static_assert(STRATA_CANCELLED == static_cast<int>(strata::StatusCode::kCancelled));
static_assert(STRATA_POLICY_BEST_ROUTE == static_cast<int>(strata::route::PolicyKind::kBestRoute));
static_assert(STRATA_GIVE_UP == static_cast<int>(strata::route::OnInfeasible::kGiveUp));
static_assert(STRATA_INT64 == static_cast<int>(strata::graph::DataType::kInt64));
static_assert(STRATA_BOOL == static_cast<int>(strata::graph::DataType::kBool));
static_assert(STRATA_NO_DEADLINE == strata::runtime::kNoDeadline);

/// What the first version of strata_run_options had; later ones only add to it.
constexpr size_t kFirstOptionsSize = offsetof(strata_run_options, adaptive);

std::string& last_error() {
  thread_local std::string message;
  return message;
}

strata_status report(const strata::Status& status) {
  if (status.ok()) return STRATA_OK;
  last_error() = status.message();
  return static_cast<strata_status>(status.code());
}

/// Views without data of a graph's inputs or outputs.
template <typename View>
std::vector<View> views_of(const std::vector<strata::graph::ValueInfo>& values) {
  std::vector<View> views;
  for (const strata::graph::ValueInfo& value : values) {
    size_t count = 1;
    for (const strata::graph::Dim& dim : value.shape) count *= static_cast<size_t>(dim.value());
    views.push_back({nullptr, count, value.type});
  }
  return views;
}

const char* name_of(const std::vector<strata::graph::ValueInfo>& values, size_t index) {
  return index < values.size() ? values[index].name.c_str() : nullptr;
}

size_t copy_shape(const std::vector<strata::graph::ValueInfo>& values, size_t index, int64_t* shape,
                  size_t capacity) {
  if (index >= values.size()) return 0;
  const auto& dims = values[index].shape;
  for (size_t i = 0; shape != nullptr && i < std::min(capacity, dims.size()); ++i) {
    shape[i] = dims[i].value();
  }
  return dims.size();
}

template <typename T>
constexpr bool holds(strata::graph::DataType type) {
  return std::is_void_v<T> || type == strata::graph::DataType::kFloat32;
}

strata::Status no_floats(const char* what, size_t index) {
  return strata::invalid_argument(std::string(what) + " " + std::to_string(index) +
                                  " is not of float32; use strata_session_run_data()");
}

/// Points the session's views at the caller's arrays, of float or, if it knows the types, of void.
template <typename T>
strata_status bind(strata_session* session, const T* const* inputs, T* const* outputs) {
  if (session == nullptr || inputs == nullptr || outputs == nullptr) {
    return report(strata::invalid_argument("the session, its inputs and outputs must not be NULL"));
  }
  for (size_t i = 0; i < session->inputs.size(); ++i) {
    if (inputs[i] == nullptr) {
      return report(strata::invalid_argument("input " + std::to_string(i) + " is NULL"));
    }
    if (!holds<T>(session->inputs[i].type)) return report(no_floats("input", i));
    session->inputs[i].data = inputs[i];
  }
  for (size_t i = 0; i < session->outputs.size(); ++i) {
    if (outputs[i] == nullptr) {
      return report(strata::invalid_argument("output " + std::to_string(i) + " is NULL"));
    }
    if (!holds<T>(session->outputs[i].type)) return report(no_floats("output", i));
    session->outputs[i].data = outputs[i];
  }
  return STRATA_OK;
}

/// The number that a C caller stored in an enumeration, which need not be one of its values:
/// reading it as the enumeration would then be undefined.
template <typename Enumeration>
int number_of(const Enumeration& value) {
  static_assert(sizeof(Enumeration) == sizeof(int));
  int number = 0;
  std::memcpy(&number, &value, sizeof(number));
  return number;
}

strata::Result<strata::runtime::RunOptions> translate(const strata_run_options* given) {
  strata_run_options from;
  strata_run_options_init(&from);
  if (given != nullptr && given->struct_size < kFirstOptionsSize) {
    return strata::invalid_argument(
        "the options have not been filled by strata_run_options_init()");
  }
  if (given != nullptr) std::memcpy(&from, given, std::min(given->struct_size, sizeof(from)));
  const int policy = number_of(from.policy);
  if (policy < STRATA_POLICY_FIXED || policy > STRATA_POLICY_BEST_ROUTE) {
    return strata::invalid_argument("there is no policy " + std::to_string(policy));
  }
  const int late = number_of(from.when_late);
  if (late != STRATA_ANSWER_LATE && late != STRATA_GIVE_UP) {
    return strata::invalid_argument("there is no " + std::to_string(late) +
                                    " as what to do when it is late");
  }
  if (!(from.nines > 0) || !std::isfinite(from.nines)) {
    return strata::invalid_argument("the wanted nines must be a number above 0, not " +
                                    std::to_string(from.nines));
  }
  strata::runtime::RunOptions options;
  options.deadline_ns = from.deadline_ns;
  options.within_ns = from.within_ns;
  options.policy.kind = static_cast<strata::route::PolicyKind>(policy);
  options.policy.on_infeasible = static_cast<strata::route::OnInfeasible>(late);
  options.policy.level = from.level;
  // More nines than a double can tell from certainty mean as many as it can.
  options.policy.miss_probability =
      std::max(std::pow(10.0, -from.nines), std::numeric_limits<double>::min());
  options.policy.reserve_ns = from.reserve_ns;
  options.policy.adaptive = from.adaptive != 0;
  options.cancellation = from.cancellation == nullptr ? nullptr : &from.cancellation->cancellation;
  return options;
}

/// Only inferences that began are shown.
void show_last_run(strata_session& session, strata::route::PolicyKind policy) {
  const strata::runtime::RunReport& report = session.session->last_run();
  if (report.steps.empty()) return;
  constexpr double kMsPerNs = 1e-6;
  strata::runtime::LiveSnapshot& shown = session.shown;
  shown.updated_ns = strata::monotonic_ns();
  shown.deadline_ms = report.deadline_ns * kMsPerNs;
  shown.level_count = session.session->level_count();
  strata::runtime::LiveSnapshot::assign(shown.policy, strata::route::to_string(policy));
  shown.add(report, report.total_ns, !report.met);
  session.live->publish(shown);
}

template <typename T>
strata_status run_by(strata_session* session, const T* const* inputs, T* const* outputs,
                     const strata_run_options* options) {
  if (const strata_status status = bind(session, inputs, outputs); status != STRATA_OK) {
    return status;
  }
  const auto translated = translate(options);
  if (!translated.ok()) return report(translated.status());
  const auto status = session->session->run(session->inputs, session->outputs, translated.value());
  if (session->live != nullptr) show_last_run(*session, translated.value().policy.kind);
  return report(status);
}

}  // namespace

extern "C" {

const char* strata_version(void) { return STRATA_VERSION; }

const char* strata_last_error(void) { return last_error().c_str(); }

strata_status strata_model_open(const char* path, strata_model** model) {
  if (path == nullptr || model == nullptr) {
    return report(
        strata::invalid_argument("the path and the place for the model must not be NULL"));
  }
  auto reader = strata::format::Reader::open(path);
  if (!reader.ok()) return report(reader.status());
  *model = new strata_model{std::move(reader).value()};
  return STRATA_OK;
}

strata_status strata_model_open_bytes(const void* bytes, size_t size, strata_model** model) {
  if (bytes == nullptr || model == nullptr) {
    return report(
        strata::invalid_argument("the bytes and the place for the model must not be NULL"));
  }
  auto reader = strata::format::Reader::from_bytes({static_cast<const uint8_t*>(bytes), size});
  if (!reader.ok()) return report(reader.status());
  *model = new strata_model{std::move(reader).value()};
  return STRATA_OK;
}

void strata_model_close(strata_model* model) { delete model; }

int strata_model_level_count(const strata_model* model) {
  return model == nullptr ? 0 : model->reader->level_count();
}

strata_status strata_session_create(const strata_model* model, const char* graph, int threads,
                                    int64_t batch, int max_level, strata_session** session) {
  return strata_session_create_tuned(model, graph, threads, batch, max_level, nullptr, session);
}

strata_status strata_session_create_tuned(const strata_model* model, const char* graph, int threads,
                                          int64_t batch, int max_level, const char* tuning,
                                          strata_session** session) {
  if (model == nullptr || session == nullptr) {
    return report(
        strata::invalid_argument("the model and the place for the session must not be NULL"));
  }
  if (batch < 1) {
    return report(strata::invalid_argument("a batch of " + std::to_string(batch) +
                                           " cannot be run; it must be at least 1"));
  }
  strata::runtime::SessionOptions options;
  options.threads = threads;
  options.max_level = max_level;
  if (graph != nullptr) options.graph = graph;
  if (tuning != nullptr) options.tuning = tuning;
  for (const strata::graph::Graph& candidate : model->reader->model().graphs) {
    for (const strata::graph::ValueInfo& input : candidate.inputs) {
      for (const strata::graph::Dim& dim : input.shape) {
        if (!dim.symbol().empty()) options.bindings[dim.symbol()] = batch;
      }
    }
  }
  auto made = strata::runtime::Session::create(model->reader, options);
  if (!made.ok()) return report(made.status());
  auto handle = std::make_unique<strata_session>();
  handle->session = std::move(made).value();
  handle->batch = batch;
  handle->inputs = views_of<strata::runtime::InputView>(handle->session->inputs());
  handle->outputs = views_of<strata::runtime::OutputView>(handle->session->outputs());
  *session = handle.release();
  return STRATA_OK;
}

void strata_session_destroy(strata_session* session) { delete session; }

int strata_session_level_count(const strata_session* session) {
  return session == nullptr ? 0 : session->session->level_count();
}

size_t strata_session_step_count(const strata_session* session) {
  return session == nullptr ? 0 : session->session->steps().size();
}

size_t strata_session_input_count(const strata_session* session) {
  return session == nullptr ? 0 : session->inputs.size();
}

size_t strata_session_output_count(const strata_session* session) {
  return session == nullptr ? 0 : session->outputs.size();
}

size_t strata_session_input_size(const strata_session* session, size_t index) {
  if (session == nullptr || index >= session->inputs.size()) return 0;
  return session->inputs[index].elements;
}

size_t strata_session_output_size(const strata_session* session, size_t index) {
  if (session == nullptr || index >= session->outputs.size()) return 0;
  return session->outputs[index].elements;
}

strata_data_type strata_session_input_type(const strata_session* session, size_t index) {
  if (session == nullptr || index >= session->inputs.size()) return STRATA_FLOAT32;
  return static_cast<strata_data_type>(session->inputs[index].type);
}

strata_data_type strata_session_output_type(const strata_session* session, size_t index) {
  if (session == nullptr || index >= session->outputs.size()) return STRATA_FLOAT32;
  return static_cast<strata_data_type>(session->outputs[index].type);
}

const char* strata_session_input_name(const strata_session* session, size_t index) {
  return session == nullptr ? nullptr : name_of(session->session->inputs(), index);
}

const char* strata_session_output_name(const strata_session* session, size_t index) {
  return session == nullptr ? nullptr : name_of(session->session->outputs(), index);
}

size_t strata_session_input_shape(const strata_session* session, size_t index, int64_t* shape,
                                  size_t capacity) {
  return session == nullptr ? 0 : copy_shape(session->session->inputs(), index, shape, capacity);
}

size_t strata_session_output_shape(const strata_session* session, size_t index, int64_t* shape,
                                   size_t capacity) {
  return session == nullptr ? 0 : copy_shape(session->session->outputs(), index, shape, capacity);
}

size_t strata_session_memory_bytes(const strata_session* session) {
  return session == nullptr ? 0 : session->session->memory().total();
}

strata_status strata_session_run(strata_session* session, const float* const* inputs,
                                 float* const* outputs, int level) {
  if (const strata_status status = bind(session, inputs, outputs); status != STRATA_OK) {
    return status;
  }
  return report(session->session->run(session->inputs, session->outputs, level));
}

strata_status strata_session_run_route(strata_session* session, const float* const* inputs,
                                       float* const* outputs, const uint8_t* levels) {
  if (const strata_status status = bind(session, inputs, outputs); status != STRATA_OK) {
    return status;
  }
  if (levels == nullptr) return report(strata::invalid_argument("the levels must not be NULL"));
  return report(session->session->run_route(session->inputs, session->outputs,
                                            {levels, session->session->steps().size()}));
}

strata_status strata_session_drop_levels_above(strata_session* session, int level) {
  if (session == nullptr) return report(strata::invalid_argument("the session must not be NULL"));
  return report(session->session->drop_levels_above(level));
}

strata_status strata_session_reload_levels(strata_session* session) {
  if (session == nullptr) return report(strata::invalid_argument("the session must not be NULL"));
  return report(session->session->reload_levels());
}

strata_status strata_session_measure_profile(strata_session* session, int64_t runs) {
  if (session == nullptr) return report(strata::invalid_argument("the session must not be NULL"));
  strata::runtime::ProfileMeasurementOptions options;
  options.runs = runs;
  const auto measured = strata::runtime::measure_profile(*session->session, options);
  if (!measured.ok()) return report(measured.status());
  return report(session->session->set_profile(measured->table));
}

strata_status strata_session_load_profile(strata_session* session, const char* path) {
  if (session == nullptr) return report(strata::invalid_argument("the session must not be NULL"));
  return report(session->session->load_profile(path == nullptr ? "" : path));
}

strata_status strata_session_save_profile(const strata_session* session, const char* path) {
  if (session == nullptr) return report(strata::invalid_argument("the session must not be NULL"));
  return report(session->session->save_profile(path == nullptr ? "" : path));
}

int strata_session_has_profile(const strata_session* session) {
  return session != nullptr && session->session->profile() != nullptr ? 1 : 0;
}

strata_status strata_cancellation_create(strata_cancellation** cancellation) {
  if (cancellation == nullptr) {
    return report(strata::invalid_argument("the place for the cancellation must not be NULL"));
  }
  auto* made = new (std::nothrow) strata_cancellation;
  if (made == nullptr) return report(strata::resource_exhausted("there is no memory left"));
  *cancellation = made;
  return STRATA_OK;
}

void strata_cancellation_destroy(strata_cancellation* cancellation) { delete cancellation; }

void strata_cancellation_request(strata_cancellation* cancellation) {
  if (cancellation != nullptr) cancellation->cancellation.request();
}

void strata_cancellation_reset(strata_cancellation* cancellation) {
  if (cancellation != nullptr) cancellation->cancellation.reset();
}

int64_t strata_clock_ns(void) { return strata::monotonic_ns(); }

void strata_run_options_init(strata_run_options* options) {
  if (options == nullptr) return;
  *options = {sizeof *options,
              STRATA_NO_DEADLINE,
              std::numeric_limits<double>::infinity(),
              STRATA_POLICY_BEST_ROUTE,
              STRATA_ANSWER_LATE,
              -1,
              3,
              0,
              nullptr,
              0};
}

strata_status strata_session_run_by(strata_session* session, const float* const* inputs,
                                    float* const* outputs, const strata_run_options* options) {
  return run_by(session, inputs, outputs, options);
}

strata_status strata_session_run_data(strata_session* session, const void* const* inputs,
                                      void* const* outputs, const strata_run_options* options) {
  return run_by(session, inputs, outputs, options);
}

strata_status strata_session_publish(strata_session* session, const char* model) {
  if (session == nullptr) return report(strata::invalid_argument("the session must not be NULL"));
  session->live.reset();
  if (model == nullptr) return STRATA_OK;
  auto writer = strata::runtime::LiveStateWriter::create();
  if (!writer.ok()) return report(writer.status());
  session->shown = {};
  session->shown.process = getpid();
  session->shown.started_ns = session->shown.updated_ns = strata::monotonic_ns();
  session->shown.level_count = session->session->level_count();
  session->shown.threads = session->session->threads();
  session->shown.batch = static_cast<int32_t>(std::min<int64_t>(session->batch, INT32_MAX));
  strata::runtime::LiveSnapshot::assign(session->shown.model, model);
  session->live = std::move(writer).value();
  session->live->publish(session->shown);
  return STRATA_OK;
}

strata_status strata_session_last_run(const strata_session* session, strata_run_report* result) {
  if (session == nullptr || result == nullptr) {
    return report(
        strata::invalid_argument("the session and the place for the report must not be NULL"));
  }
  const strata::runtime::RunReport& last = session->session->last_run();
  *result = {last.steps.size(), last.completed ? 1 : 0, last.met ? 1 : 0, last.reroutes,
             last.deadline_ns,  last.expected_ns,       last.total_ns,    last.slowdown};
  return STRATA_OK;
}

strata_status strata_session_last_step(const strata_session* session, size_t step,
                                       strata_step_report* result) {
  if (session == nullptr || result == nullptr) {
    return report(
        strata::invalid_argument("the session and the place for the report must not be NULL"));
  }
  const auto steps = session->session->last_run().steps;
  if (step >= steps.size()) {
    return report(strata::out_of_range("step " + std::to_string(step) + " did not run, " +
                                       std::to_string(steps.size()) + " steps did"));
  }
  *result = {steps[step].level, steps[step].expected_ns, steps[step].observed_ns};
  return STRATA_OK;
}

}  // extern "C"

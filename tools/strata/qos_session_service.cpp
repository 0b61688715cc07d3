#include <utility>

#include "runtime/profile_measurement.h"
#include "runtime/session.h"
#include "tools/strata/accuracy_table.h"
#include "tools/strata/late_progress.h"
#include "tools/strata/qos_service.h"
#include "tools/strata/timed_inputs.h"
#include "train/error.h"

namespace strata::cli {
namespace {

class SessionService final : public QosService {
 public:
  SessionService(std::shared_ptr<const TimedInputs> inputs,
                 std::unique_ptr<runtime::Session> session)
      : inputs_(std::move(inputs)),
        session_(std::move(session)),
        tensors_(inputs_->tensors(*session_)) {}

  void warm_up() override {
    throw_if_error(session_->run(tensors_.inputs(), tensors_.outputs(), 0));
  }
  Status answer(size_t /*number*/, const runtime::RunOptions& options) override {
    return session_->run(tensors_.inputs(), tensors_.outputs(), options);
  }
  [[nodiscard]] const runtime::RunReport& last_run() const override { return session_->last_run(); }

  [[nodiscard]] const runtime::Session& session() const { return *session_; }

  route::ProfileTable measure(const Console& console) {
    LateProgress progress("profile", "rounds", console);
    runtime::ProfileMeasurementOptions options;
    options.progress = [&](int64_t done, int64_t total) {
      progress.update(done, total);
      return !interrupted();
    };
    auto measured = runtime::measure_profile(*session_, tensors_.inputs(), options);
    stop_if_interrupted();
    return value_or_throw(std::move(measured)).table;
  }
  void set_profile(const route::ProfileTable& table) {
    throw_if_error(session_->set_profile(table));
  }

 private:
  std::shared_ptr<const TimedInputs> inputs_;
  std::unique_ptr<runtime::Session> session_;
  TimedInputs::Tensors tensors_;
};

}  // namespace

std::vector<std::unique_ptr<QosService>> make_session_services(
    const Console& console, const std::shared_ptr<const format::Reader>& reader,
    const route::AccuracyTable& accuracy, const QosServiceOptions& options,
    QosRecording& recording) {
  const auto inputs = std::make_shared<const TimedInputs>(*reader, options.data);
  runtime::SessionOptions session;
  session.threads = options.threads;
  session.bindings = inputs->bindings();
  if (session.bindings.empty()) {  // else it is of a graph, which is one request
    session.bindings = graph::batch_sizes(reader->model().graphs.front(), options.batch);
  }
  std::vector<std::unique_ptr<SessionService>> services;
  for (size_t i = 0; i < options.count; ++i) {
    services.push_back(std::make_unique<SessionService>(
        inputs, value_or_throw(runtime::Session::create(reader, session))));
  }
  recording.profile = services.front()->measure(console);
  const runtime::Session& first = services.front()->session();
  recording.profile.accuracy = accuracy_of_parts(
      accuracy, first.parts(), static_cast<int64_t>(first.steps().size()) / first.parts());
  for (const auto& service : services) service->set_profile(recording.profile);
  return {std::make_move_iterator(services.begin()), std::make_move_iterator(services.end())};
}

}  // namespace strata::cli

// What answers the requests of a quality-of-service experiment: sessions on one input, or
// translators on the sentences of a test set.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/status.h"
#include "format/reader.h"
#include "route/profile.h"
#include "runtime/run_options.h"
#include "tools/strata/console.h"
#include "tools/strata/qos_recording.h"

namespace strata::cli {

/// Serves one policy, so that it learns from its own requests alone.
class QosService {
 public:
  QosService() = default;
  virtual ~QosService() = default;
  QosService(const QosService&) = delete;
  QosService& operator=(const QosService&) = delete;

  /// Answers something at the sparsest level, outside of every deadline: the weights come into the
  /// caches. Throws Error.
  virtual void warm_up() = 0;
  /// Answers request `number`, counted through the whole plan. Errors: kDeadlineExceeded if
  /// `options` let it give up, and what no request should meet.
  virtual Status answer(size_t number, const runtime::RunOptions& options) = 0;
  /// The account of the last answer().
  [[nodiscard]] virtual const runtime::RunReport& last_run() const = 0;
  /// Adds what request `number` was about and, if it was the last that answer() met, what was said.
  virtual void describe(size_t /*number*/, RecordedInference& /*inference*/) const {}
};

struct QosServiceOptions {
  size_t count = 1;  ///< services, one per policy
  int threads = 1;
  int batch = 1;     ///< inputs of a request; not of a translator
  std::string data;  ///< the graph of a network of graphs; the test set of a translator
};

/// Makes the services and measures the unloaded times, which they and `recording.profile` get, with
/// `accuracy`. Throws Error, or Interrupted.
std::vector<std::unique_ptr<QosService>> make_session_services(
    const Console& console, const std::shared_ptr<const format::Reader>& reader,
    const route::AccuracyTable& accuracy, const QosServiceOptions& options,
    QosRecording& recording);

/// The same for a translator. Its sentences, taken evenly from the test set, are translated at
/// every level to know what the levels are worth; `recording.sentences` and `most_steps` are
/// filled, too. Request n is for sentence n modulo their number.
std::vector<std::unique_ptr<QosService>> make_translation_services(
    const Console& console, const std::shared_ptr<const format::Reader>& reader,
    const QosServiceOptions& options, QosRecording& recording);

}  // namespace strata::cli

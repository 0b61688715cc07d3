#include "flat_interface.h"

static const double kNsPerMs = 1e6;

strata_status strata_flat_run(strata_session* session, const void* const* inputs,
                              void* const* outputs, int policy, int level, double within_ms,
                              double nines, double reserve_ms, int give_up, int adaptive) {
  strata_run_options options;
  strata_run_options_init(&options);
  options.policy = (strata_policy)policy;
  options.level = level;
  options.within_ns = within_ms * kNsPerMs;
  options.nines = nines;
  options.reserve_ns = reserve_ms * kNsPerMs;
  options.when_late = give_up ? STRATA_GIVE_UP : STRATA_ANSWER_LATE;
  options.adaptive = adaptive;
  return strata_session_run_data(session, inputs, outputs, &options);
}

strata_status strata_flat_report(const strata_session* session, double* numbers) {
  strata_run_report report;
  const strata_status status = strata_session_last_run(session, &report);
  if (status != STRATA_OK) return status;
  const double values[kStrataFlatReport] = {
      (double)report.steps_run,      report.completed,           report.met,     report.reroutes,
      report.expected_ns / kNsPerMs, report.total_ns / kNsPerMs, report.slowdown};
  for (int i = 0; i < kStrataFlatReport; ++i) numbers[i] = values[i];
  return STRATA_OK;
}

strata_status strata_flat_route(const strata_session* session, uint8_t* levels) {
  strata_run_report report;
  strata_status status = strata_session_last_run(session, &report);
  for (size_t step = 0; status == STRATA_OK && step < report.steps_run; ++step) {
    strata_step_report taken;
    status = strata_session_last_step(session, step, &taken);
    if (status == STRATA_OK) levels[step] = (uint8_t)taken.level;
  }
  return status;
}

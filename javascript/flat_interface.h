/* What strata.mjs calls beside strata.h: JavaScript knows no structures, so that the options of a
 * run and its report are plain numbers here. Milliseconds, since that is what JavaScript counts in.
 */
#ifndef STRATA_JAVASCRIPT_FLAT_INTERFACE_H_
#define STRATA_JAVASCRIPT_FLAT_INTERFACE_H_

#include <strata/strata.h>

/* strata_session_run_data() with strata_run_options; within_ms: infinity = no deadline. */
strata_status strata_flat_run(strata_session* session, const void* const* inputs,
                              void* const* outputs, int policy, int level, double within_ms,
                              double nines, double reserve_ms, int give_up, int adaptive);

/* Of the last run: steps run, completed, met, reroutes, expected ms, total ms, slowdown. */
enum { kStrataFlatReport = 7 };
strata_status strata_flat_report(const strata_session* session, double* numbers);
/* The levels of the steps that ran, as many as the report says. */
strata_status strata_flat_route(const strata_session* session, uint8_t* levels);

#endif /* STRATA_JAVASCRIPT_FLAT_INTERFACE_H_ */

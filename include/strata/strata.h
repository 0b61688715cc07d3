/* The C interface of strata: open a .strata file, make a session, run it at a level or by a
 * deadline. Stable ABI: opaque handles, plain types, no exceptions. C++ users may prefer
 * strata.hpp.
 *
 * Every function that can fail returns a strata_status; STRATA_OK is 0. strata_last_error() then
 * has one sentence that says what went wrong. Levels are numbered from 0, the sparsest. */
#ifndef STRATA_STRATA_H_
#define STRATA_STRATA_H_

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define STRATA_API __attribute__((visibility("default")))
#else
#define STRATA_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* NOLINTBEGIN(readability-identifier-naming): C names its constants so. */
typedef enum strata_status {
  STRATA_OK = 0,
  STRATA_INVALID_ARGUMENT = 1,
  STRATA_NOT_FOUND = 2,
  STRATA_OUT_OF_RANGE = 3,
  STRATA_DATA_LOSS = 4,
  STRATA_UNSUPPORTED = 5,
  STRATA_IO_ERROR = 6,
  STRATA_RESOURCE_EXHAUSTED = 7,
  STRATA_FAILED_PRECONDITION = 8,
  STRATA_INTERNAL = 9,
  STRATA_DEADLINE_EXCEEDED = 10, /* no answer in time, and a late one was not wanted */
  STRATA_CANCELLED = 11
} strata_status;

/* Who chooses the level of each step; docs/deadlines.md describes them. */
typedef enum strata_policy {
  STRATA_POLICY_FIXED = 0,              /* one level throughout */
  STRATA_POLICY_PER_REQUEST = 1,        /* one level, chosen at the start */
  STRATA_POLICY_REROUTE = 2,            /* leaves a level once the estimate says that it is late */
  STRATA_POLICY_LATEST_SAFE_SWITCH = 3, /* stays as long as the sparsest level can still save it */
  STRATA_POLICY_BEST_ROUTE = 4          /* the most accurate route that is safe */
} strata_policy;

typedef enum strata_when_late {
  STRATA_ANSWER_LATE = 0, /* when even the sparsest level is too slow: finish at that level */
  STRATA_GIVE_UP = 1      /* return STRATA_DEADLINE_EXCEEDED as soon as that is clear */
} strata_when_late;
/* Element types, numbered as in onnx.TensorProto.DataType. */
typedef enum strata_data_type {
  STRATA_FLOAT32 = 1,
  STRATA_UINT8 = 2,
  STRATA_INT8 = 3,
  STRATA_INT32 = 6,
  STRATA_INT64 = 7,
  STRATA_BOOL = 9
} strata_data_type;
/* NOLINTEND(readability-identifier-naming) */

/* An opened file; may be shared by sessions and threads. */
typedef struct strata_model strata_model;
/* Plan, weights and memory for one caller at a time; several sessions may run in parallel. */
typedef struct strata_session strata_session;

/* "0.1.0"; valid for ever. */
STRATA_API const char* strata_version(void);

/* Why the last call on this thread failed; valid until the next call on this thread. */
STRATA_API const char* strata_last_error(void);

/* Maps and checks the file. On success *model is to be closed with strata_model_close(). */
STRATA_API strata_status strata_model_open(const char* path, strata_model** model);
/* The same from the bytes of a file, which are copied: they may go once this returns. */
STRATA_API strata_status strata_model_open_bytes(const void* bytes, size_t size,
                                                 strata_model** model);
/* Sessions made from the model stay valid. NULL is ignored. */
STRATA_API void strata_model_close(strata_model* model);
/* Levels present in the file. */
STRATA_API int strata_model_level_count(const strata_model* model);

/* Makes a session for the model's only graph (or the one named; NULL = the only one).
 * threads: 1..64, the calling thread included. batch: size of every symbolic dimension, >= 1.
 * max_level: load levels 0..max_level; -1 = all. */
STRATA_API strata_status strata_session_create(const strata_model* model, const char* graph,
                                               int threads, int64_t batch, int max_level,
                                               strata_session** session);
/* The same with a choice of what `strata tune` found: a file of tunings, or "off". NULL: what the
 * environment variable STRATA_TUNING says in the same way, else the file beside the model, if it
 * is there and fits; strata_session_create() does that, too. A file that is named and cannot be
 * read is an error; one that does not fit is left aside. */
STRATA_API strata_status strata_session_create_tuned(const strata_model* model, const char* graph,
                                                     int threads, int64_t batch, int max_level,
                                                     const char* tuning, strata_session** session);
/* NULL is ignored. */
STRATA_API void strata_session_destroy(strata_session* session);

STRATA_API int strata_session_level_count(const strata_session* session);
/* Of one run, in the order in which they run. A large batch whose inputs do not depend on each
 * other runs in parts: the steps of the first part, then those of the second, and so on. */
STRATA_API size_t strata_session_step_count(const strata_session* session);
STRATA_API size_t strata_session_input_count(const strata_session* session);
STRATA_API size_t strata_session_output_count(const strata_session* session);
/* Number of elements of input or output `index`; 0 if there is no such. */
STRATA_API size_t strata_session_input_size(const strata_session* session, size_t index);
STRATA_API size_t strata_session_output_size(const strata_session* session, size_t index);
/* Type of the elements of input or output `index`. */
STRATA_API strata_data_type strata_session_input_type(const strata_session* session, size_t index);
STRATA_API strata_data_type strata_session_output_type(const strata_session* session, size_t index);
/* Name of input or output `index`, valid as long as the session; NULL if there is no such. */
STRATA_API const char* strata_session_input_name(const strata_session* session, size_t index);
STRATA_API const char* strata_session_output_name(const strata_session* session, size_t index);
/* The number of its dimensions; writes the first `capacity` of their sizes to `shape`. */
STRATA_API size_t strata_session_input_shape(const strata_session* session, size_t index,
                                             int64_t* shape, size_t capacity);
STRATA_API size_t strata_session_output_shape(const strata_session* session, size_t index,
                                              int64_t* shape, size_t capacity);
/* Bytes that weights and activations hold. */
STRATA_API size_t strata_session_memory_bytes(const strata_session* session);

/* One inference at one level. inputs[i] and outputs[i] point to dense row-major float32 arrays of
 * strata_session_input_size(i) and strata_session_output_size(i) elements, owned by the caller.
 * A graph with inputs or outputs of other types runs by strata_session_run_data(). */
STRATA_API strata_status strata_session_run(strata_session* session, const float* const* inputs,
                                            float* const* outputs, int level);
/* The same with a level for each of the strata_session_step_count() steps. */
STRATA_API strata_status strata_session_run_route(strata_session* session,
                                                  const float* const* inputs, float* const* outputs,
                                                  const uint8_t* levels);

/* Frees the weights above `level` / reads them from the file again. */
STRATA_API strata_status strata_session_drop_levels_above(strata_session* session, int level);
STRATA_API strata_status strata_session_reload_levels(strata_session* session);

/* ---- Profiles: how long each step takes at each level. A deadline needs one. ------------------
 */

/* Measures the session on this machine, which should be idle, and uses the result. runs: inferences
 * per level, at most 100000, 0 = as many as fit into three seconds. */
STRATA_API strata_status strata_session_measure_profile(strata_session* session, int64_t runs);
/* Uses a profile that was stored, e.g. by `strata profile`. path: NULL = FILE.profile beside the
 * model. STRATA_NOT_FOUND: no such file. STRATA_FAILED_PRECONDITION: it was measured for another
 * model, processor, build, batch or thread count; strata_last_error() says which. */
STRATA_API strata_status strata_session_load_profile(strata_session* session, const char* path);
/* Adds the session's profile, as refreshed by its inferences, to a file; path as above. */
STRATA_API strata_status strata_session_save_profile(const strata_session* session,
                                                     const char* path);
/* 1 if the session has a profile, else 0. */
STRATA_API int strata_session_has_profile(const strata_session* session);

/* ---- Cancellation: how another thread stops an inference between two steps. -------------------
 */

/* May be shared by sessions and threads. */
typedef struct strata_cancellation strata_cancellation;
STRATA_API strata_status strata_cancellation_create(strata_cancellation** cancellation);
/* Not before the runs that use it have returned. NULL is ignored. */
STRATA_API void strata_cancellation_destroy(strata_cancellation* cancellation);
/* From any thread, also from a signal handler. Runs that use it, now and later, return
 * STRATA_CANCELLED until it is reset. NULL is ignored. */
STRATA_API void strata_cancellation_request(strata_cancellation* cancellation);
STRATA_API void strata_cancellation_reset(strata_cancellation* cancellation);

/* ---- Running by a deadline --------------------------------------------------------------------
 */

/* Nanoseconds of the clock that deadlines refer to: CLOCK_MONOTONIC, std::chrono::steady_clock. */
STRATA_API int64_t strata_clock_ns(void);

#define STRATA_NO_DEADLINE INT64_MAX

/* NOLINTBEGIN(readability-identifier-naming): C names its structures so. */
/* Fill it with strata_run_options_init(), then change what is to be different: later versions may
 * add fields. */
typedef struct strata_run_options {
  size_t struct_size;   /* set by strata_run_options_init() */
  int64_t deadline_ns;  /* reading of strata_clock_ns(); default STRATA_NO_DEADLINE */
  double within_ns;     /* the same as a duration from the call; the earlier of both holds. Zero and
                           below: over already. Default: infinity. NaN is an error */
  strata_policy policy; /* default STRATA_POLICY_BEST_ROUTE */
  strata_when_late when_late; /* default STRATA_ANSWER_LATE */
  int level;                  /* STRATA_POLICY_FIXED: the level; else the highest one allowed.
                                 Default -1: the highest that is loaded */
  double nines;               /* wanted: a miss probability of 10^-nines; default 3, above 0 */
  double reserve_ns;          /* kept free before the deadline for what follows; default 0 */
  const strata_cancellation* cancellation; /* default NULL: cannot be cancelled */
  int adaptive; /* 1: the session learns from its misses how cautious to be, so that those that it
                   can avoid are as rare as wanted in the long run, and not far rarer at the price
                   of accuracy. Default 0: the guarantee holds for the single inference */
} strata_run_options;
STRATA_API void strata_run_options_init(strata_run_options* options);

/* One inference; before each step the policy chooses its level. options: NULL = the defaults.
 * STRATA_OK: the outputs are whole, and in time unless STRATA_ANSWER_LATE allows them to be late
 * (strata_session_last_run() says). After anything else they are undefined.
 * STRATA_FAILED_PRECONDITION: a deadline, and no profile. */
STRATA_API strata_status strata_session_run_by(strata_session* session, const float* const* inputs,
                                               float* const* outputs,
                                               const strata_run_options* options);

/* The same with arrays of the types that strata_session_input_type() and _output_type() give. */
STRATA_API strata_status strata_session_run_data(strata_session* session, const void* const* inputs,
                                                 void* const* outputs,
                                                 const strata_run_options* options);

/* From now on anybody on this machine may watch the session's inferences by deadline, for instance
 * with `strata top`; without locks or system calls on the session's side. model: the name that it
 * is shown by; NULL stops it. STRATA_IO_ERROR: the operating system gives no memory to share. */
STRATA_API strata_status strata_session_publish(strata_session* session, const char* model);

/* The account of the last strata_session_run_by() or strata_session_run_data(), however it ended.
 * Times in nanoseconds since its call. */
typedef struct strata_run_report {
  size_t steps_run;   /* of strata_session_step_count() */
  int completed;      /* 1: every step ran */
  int met;            /* 1: completed, and not after the deadline */
  int reroutes;       /* changes of level between two steps */
  double deadline_ns; /* infinity: none */
  double expected_ns; /* the end, as estimated at the start; 0 without a profile */
  double total_ns;    /* the end */
  double slowdown;    /* believed afterwards: observed time / profiled time */
} strata_run_report;
typedef struct strata_step_report {
  int level;
  double expected_ns; /* as estimated just before the step; 0 without a profile */
  double observed_ns;
} strata_step_report;
/* NOLINTEND(readability-identifier-naming) */
STRATA_API strata_status strata_session_last_run(const strata_session* session,
                                                 strata_run_report* report);
/* Step `step` of it, 0 <= step < steps_run. */
STRATA_API strata_status strata_session_last_step(const strata_session* session, size_t step,
                                                  strata_step_report* report);

#ifdef __cplusplus
}
#endif

#endif /* STRATA_STRATA_H_ */

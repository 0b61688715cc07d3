/* The C interface of strata: open a .strata file, make a session, run it at a level.
 * Stable ABI: opaque handles, plain types, no exceptions. C++ users may prefer strata.hpp.
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
  STRATA_INTERNAL = 9
} strata_status;
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
/* NULL is ignored. */
STRATA_API void strata_session_destroy(strata_session* session);

STRATA_API int strata_session_level_count(const strata_session* session);
STRATA_API size_t strata_session_step_count(const strata_session* session);
STRATA_API size_t strata_session_input_count(const strata_session* session);
STRATA_API size_t strata_session_output_count(const strata_session* session);
/* Number of float32 elements of input or output `index`; 0 if there is no such. */
STRATA_API size_t strata_session_input_size(const strata_session* session, size_t index);
STRATA_API size_t strata_session_output_size(const strata_session* session, size_t index);
/* Bytes that weights and activations hold. */
STRATA_API size_t strata_session_memory_bytes(const strata_session* session);

/* One inference at one level. inputs[i] and outputs[i] point to dense row-major float32 arrays of
 * strata_session_input_size(i) and strata_session_output_size(i) elements, owned by the caller. */
STRATA_API strata_status strata_session_run(strata_session* session, const float* const* inputs,
                                            float* const* outputs, int level);
/* The same with a level for each of the strata_session_step_count() steps. */
STRATA_API strata_status strata_session_run_route(strata_session* session,
                                                  const float* const* inputs, float* const* outputs,
                                                  const uint8_t* levels);

/* Frees the weights above `level` / reads them from the file again. */
STRATA_API strata_status strata_session_drop_levels_above(strata_session* session, int level);
STRATA_API strata_status strata_session_reload_levels(strata_session* session);

#ifdef __cplusplus
}
#endif

#endif /* STRATA_STRATA_H_ */

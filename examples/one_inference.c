/* One inference at the sparsest level through the C interface: one_inference FILE */
#include <stdio.h>
#include <stdlib.h>
#include <strata/strata.h>

static int fail(void) {
  fprintf(stderr, "one_inference: %s\n", strata_last_error());
  return 1;
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: one_inference FILE\n");
    return 2;
  }
  strata_model* model = NULL;
  strata_session* session = NULL;
  if (strata_model_open(argv[1], &model) != STRATA_OK) return fail();
  strata_status status = strata_session_create(model, NULL, 1, 1, -1, &session);
  strata_model_close(model); /* the session keeps what it needs */
  if (status != STRATA_OK) return fail();

  float* input = calloc(strata_session_input_size(session, 0), sizeof *input);
  float* output = calloc(strata_session_output_size(session, 0), sizeof *output);
  int result = 1;
  if (input != NULL && output != NULL) {
    const float* inputs[1] = {input};
    float* outputs[1] = {output};
    if (strata_session_run(session, inputs, outputs, 0) == STRATA_OK) {
      printf("output[0] = %g\n", (double)output[0]);
      result = 0;
    } else {
      result = fail();
    }
  }
  free(input);
  free(output);
  strata_session_destroy(session);
  return result;
}

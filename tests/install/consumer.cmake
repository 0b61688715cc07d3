# Run by the test install.consumer; see CMakeLists.txt beside it.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "failed (${code}): ${ARGN}\n${out}")
  endif()
  set(output "${out}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
run(${CMAKE_COMMAND} --install ${BUILD_DIR} --component runtime --prefix ${WORK_DIR}/prefix)
run(${CMAKE_COMMAND} -G ${GENERATOR} -S ${SOURCE_DIR}/examples -B ${WORK_DIR}/build
  -DCMAKE_PREFIX_PATH=${WORK_DIR}/prefix -DCMAKE_C_COMPILER=${CC} -DCMAKE_CXX_COMPILER=${CXX})
run(${CMAKE_COMMAND} --build ${WORK_DIR}/build)
run(${WRITE_MODEL} ${WORK_DIR}/model.strata)
run(${WORK_DIR}/build/every_level ${WORK_DIR}/model.strata)
if(NOT output MATCHES "level 0: .*level 1: .*rerouted halfway: .*memory: ")
  message(FATAL_ERROR "every_level printed: ${output}")
endif()
run(${WORK_DIR}/build/one_inference ${WORK_DIR}/model.strata)
execute_process(
  COMMAND ${WORK_DIR}/build/raw_inference ${WORK_DIR}/model.strata 0
  INPUT_FILE /dev/null RESULT_VARIABLE code ERROR_VARIABLE output)
if(code EQUAL 0 OR NOT output MATCHES "^raw_inference: standard input must hold exactly [0-9]+ numbers")
  message(FATAL_ERROR "raw_inference took an empty input (${code}): ${output}")
endif()
string(REGEX MATCH "[0-9]+ numbers" count "${output}")
string(REPLACE " numbers" "" count "${count}")
math(EXPR bytes "${count} * 4")
run(dd if=/dev/zero of=${WORK_DIR}/input.f32 bs=${bytes} count=1)
execute_process(
  COMMAND ${WORK_DIR}/build/raw_inference ${WORK_DIR}/model.strata 0
  INPUT_FILE ${WORK_DIR}/input.f32 OUTPUT_FILE ${WORK_DIR}/output.f32
  RESULT_VARIABLE code ERROR_VARIABLE output)
file(SIZE ${WORK_DIR}/output.f32 bytes)
math(EXPR rest "${bytes} % 4")
if(NOT code EQUAL 0 OR bytes EQUAL 0 OR NOT rest EQUAL 0)
  message(FATAL_ERROR "raw_inference failed (${code}): wrote ${bytes} bytes: ${output}")
endif()

run(${READELF} -d ${WORK_DIR}/prefix/${LIB_DIR}/libstrata.so)
string(REGEX MATCHALL "NEEDED[^[]*\\[[^]]*" needed "${output}")
foreach(library ${needed})
  if(NOT library MATCHES "\\[(libstdc\\+\\+|libm|libgcc_s|libc|libpthread|ld-linux[^.]*)\\.so")
    message(FATAL_ERROR "libstrata.so must link nothing but the C++ runtime; found ${library}")
  endif()
endforeach()

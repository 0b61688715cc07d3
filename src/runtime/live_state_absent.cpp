// Where processes share no memory (WebAssembly) nobody can be shown anything.
#include "runtime/live_state.h"

namespace strata::runtime {
namespace {

Status absent() { return unsupported("live states need memory that processes share"); }

}  // namespace

std::string live_state_folder() { return {}; }

Result<std::unique_ptr<LiveStateWriter>> LiveStateWriter::create(const std::string& /*path*/) {
  return absent();
}

LiveStateWriter::~LiveStateWriter() = default;

void LiveStateWriter::publish(const LiveSnapshot& /*snapshot*/) {}

Result<LiveSnapshot> read_live_state(const std::string& /*path*/) { return absent(); }

std::vector<std::string> find_live_states(const std::string& /*folder*/) { return {}; }

}  // namespace strata::runtime

// Compressed bytes for tests of readers.
#pragma once

#include <cstdint>
#include <vector>

#include <zlib.h>

namespace strata::testing {

/// `window_bits` as zlib takes them: negative for bare deflate data, 15 + 16 for gzip.
inline std::vector<uint8_t> deflated(std::vector<uint8_t> bytes, int window_bits) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
  std::vector<uint8_t> out(deflateBound(&stream, static_cast<uLong>(bytes.size())));
  stream.next_in = bytes.data();
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace strata::testing

// IDX: two zero bytes, element type, count of dimensions, the dimensions as big-endian 32-bit
// numbers, then the elements. gzip through zlib's streaming interface.
#include "train/data/idx.h"

#include <algorithm>
#include <iomanip>
#include <sstream>

#include <zlib.h>

#include "train/error.h"

namespace strata::data {
namespace {

constexpr uint8_t kUnsignedByte = 0x08;
constexpr int kGzipOnly = 15 + 16;  // zlib's window bits: the largest window, a gzip header

uint32_t big_endian(std::span<const uint8_t> bytes, size_t offset) {
  return static_cast<uint32_t>(bytes[offset]) << 24 |
         static_cast<uint32_t>(bytes[offset + 1]) << 16 |
         static_cast<uint32_t>(bytes[offset + 2]) << 8 | static_cast<uint32_t>(bytes[offset + 3]);
}

std::string hexadecimal(uint32_t value) {
  std::ostringstream text;
  text << "0x" << std::hex << std::setw(8) << std::setfill('0') << value;
  return text.str();
}

// Owns zlib's state, so that an exception frees it.
struct Inflater {
  z_stream stream{};
  Inflater() {
    if (inflateInit2(&stream, kGzipOnly) != Z_OK) throw Error("zlib cannot allocate its state");
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

}  // namespace

IdxArray parse_idx(std::span<const uint8_t> bytes, size_t dims, const std::string& name) {
  const size_t header = 4 + 4 * dims;
  if (bytes.size() < header) {
    throw Error("'" + name + "' is truncated: " + std::to_string(bytes.size()) +
                " bytes are shorter than an IDX header of " + std::to_string(header));
  }
  const auto expected = static_cast<uint32_t>(kUnsignedByte << 8 | dims);
  if (const uint32_t magic = big_endian(bytes, 0); magic != expected) {
    throw Error("'" + name + "' has the magic number " + hexadecimal(magic) +
                "; an IDX file of unsigned bytes in " + std::to_string(dims) +
                (dims == 1 ? " dimension" : " dimensions") + " begins with " +
                hexadecimal(expected));
  }
  IdxArray array;
  const uint64_t available = bytes.size() - header;
  uint64_t elements = 1;
  std::string shape;
  for (size_t i = 0; i < dims; ++i) {
    const uint32_t dim = big_endian(bytes, 4 + 4 * i);
    array.dims.push_back(dim);
    shape += (i == 0 ? "" : "x") + std::to_string(dim);
    // Saturates above what any file holds, so that hostile dimensions cannot overflow.
    elements = dim != 0 && elements > UINT64_MAX / dim ? UINT64_MAX : elements * dim;
  }
  if (elements != available) {
    throw Error("'" + name + "' declares " + shape + " elements but holds " +
                std::to_string(available) + " bytes of data: it is " +
                (available < elements ? "truncated" : "too long") + " or damaged");
  }
  array.values.assign(bytes.begin() + static_cast<std::ptrdiff_t>(header), bytes.end());
  return array;
}

bool is_gzip(std::span<const uint8_t> bytes) {
  return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

std::vector<uint8_t> gunzip(std::span<const uint8_t> bytes, size_t max_bytes,
                            const std::string& name) {
  constexpr size_t kFirstGuess = size_t{1} << 16;
  constexpr size_t kLargestPiece = size_t{1} << 30;  // zlib counts in 32 bits
  Inflater inflater;
  z_stream& stream = inflater.stream;
  std::vector<uint8_t> out(std::min(max_bytes, std::max(kFirstGuess, bytes.size() * 4)));
  size_t consumed = 0;
  size_t produced = 0;
  bool member_ended = false;
  while (consumed < bytes.size() || !member_ended) {
    if (member_ended) {
      if (!is_gzip(bytes.subspan(consumed))) {
        throw Error("'" + name + "' is damaged: " + std::to_string(bytes.size() - consumed) +
                    " bytes follow the end of its gzip data");
      }
      inflateReset(&stream);
      member_ended = false;
    }
    if (produced == out.size() && out.size() < max_bytes) {
      out.resize(std::min(max_bytes, out.size() * 2));
    }
    const size_t in_piece = std::min(kLargestPiece, bytes.size() - consumed);
    const size_t out_piece = std::min(kLargestPiece, out.size() - produced);
    uint8_t overflow = 0;  // one byte of room tells "full" from "too large"
    stream.next_in = const_cast<Bytef*>(bytes.data() + consumed);  // zlib only reads it
    stream.avail_in = static_cast<uInt>(in_piece);
    stream.next_out = out_piece > 0 ? out.data() + produced : &overflow;
    stream.avail_out = static_cast<uInt>(std::max<size_t>(out_piece, 1));
    const uInt room = stream.avail_out;
    const int code = inflate(&stream, Z_NO_FLUSH);
    consumed += in_piece - stream.avail_in;
    const size_t written = room - stream.avail_out;
    if (out_piece == 0 && written > 0) {
      throw Error("'" + name + "' holds more than " + std::to_string(max_bytes) +
                  " bytes once decompressed, which strata refuses");
    }
    produced += written;
    if (code == Z_STREAM_END) {
      member_ended = true;
    } else if (code == Z_BUF_ERROR || (code == Z_OK && consumed == bytes.size() && written == 0)) {
      throw Error("'" + name + "' is truncated: its gzip data ends early");
    } else if (code != Z_OK) {
      throw Error("'" + name + "' is damaged: " +
                  (stream.msg != nullptr ? stream.msg : "its gzip data cannot be decompressed"));
    }
  }
  out.resize(produced);
  return out;
}

}  // namespace strata::data

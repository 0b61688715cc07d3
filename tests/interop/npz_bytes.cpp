#include "npz_bytes.h"

#include <zlib.h>

#include "deflated.h"

namespace strata::interop::testing {
namespace {

constexpr uint16_t kFromDeflated = 99;

template <typename T>
void put(Blob& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

void append(Blob& out, const Blob& more) { out.insert(out.end(), more.begin(), more.end()); }

}  // namespace

Blob blob(const std::string& text) { return {text.begin(), text.end()}; }

Blob npy_with_header(const std::string& header, const Blob& data, uint8_t version) {
  const size_t prefix = version == 1 ? 10 : 12;
  std::string text = header;
  while ((prefix + text.size() + 1) % 64 != 0) text += ' ';
  text += '\n';
  Blob out = blob("\x93NUMPY");
  out.push_back(version);
  out.push_back(0);
  if (version == 1) {
    put(out, static_cast<uint16_t>(text.size()));
  } else {
    put(out, static_cast<uint32_t>(text.size()));
  }
  append(out, blob(text));
  append(out, data);
  return out;
}

Blob npy(const std::string& descr, const std::string& shape, const Blob& data) {
  return npy_with_header(
      "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }", data);
}

Blob zip(const std::vector<ZipEntry>& entries, const std::string& comment) {
  Blob out;
  Blob directory;
  for (const ZipEntry& entry : entries) {
    const Blob packed =
        entry.deflated ? strata::testing::deflated(entry.data, -MAX_WBITS) : entry.data;
    const auto checksum =
        static_cast<uint32_t>(crc32(0, entry.data.data(), static_cast<uInt>(entry.data.size())));
    const auto method = entry.method == kFromDeflated
                            ? static_cast<uint16_t>(entry.deflated ? 8 : 0)
                            : entry.method;
    const uint64_t offset = out.size();
    const auto narrow = [&](uint64_t value) {
      return entry.wide ? UINT32_MAX : static_cast<uint32_t>(value);
    };
    // Local header; as NumPy does, with a 64-bit extension that readers of the directory pass over.
    put<uint32_t>(out, 0x04034b50);
    for (const uint16_t value : {uint16_t{45}, entry.flags, method, uint16_t{0}, uint16_t{33}}) {
      put(out, value);
    }
    put(out, checksum);
    put<uint32_t>(out, UINT32_MAX);
    put<uint32_t>(out, UINT32_MAX);
    put(out, static_cast<uint16_t>(entry.name.size()));
    put<uint16_t>(out, 20);
    append(out, blob(entry.name));
    put<uint16_t>(out, 1);
    put<uint16_t>(out, 16);
    put<uint64_t>(out, entry.data.size());
    put<uint64_t>(out, packed.size());
    append(out, packed);

    put<uint32_t>(directory, 0x02014b50);
    for (const uint16_t value :
         {uint16_t{45}, uint16_t{45}, entry.flags, method, uint16_t{0}, uint16_t{33}}) {
      put(directory, value);
    }
    put(directory, checksum);
    put(directory, narrow(packed.size()));
    put(directory, narrow(entry.data.size()));
    put(directory, static_cast<uint16_t>(entry.name.size()));
    put(directory, static_cast<uint16_t>(entry.wide ? 28 : 0));
    put<uint16_t>(directory, 0);  // comment
    put<uint16_t>(directory, 0);  // disk
    put<uint16_t>(directory, 0);
    put<uint32_t>(directory, 0);
    put(directory, narrow(offset));
    append(directory, blob(entry.name));
    if (entry.wide) {
      put<uint16_t>(directory, 1);
      put<uint16_t>(directory, 24);
      put<uint64_t>(directory, entry.data.size());
      put<uint64_t>(directory, packed.size());
      put<uint64_t>(directory, offset);
    }
  }
  const auto begin = static_cast<uint32_t>(out.size());
  append(out, directory);
  put<uint32_t>(out, 0x06054b50);
  put<uint32_t>(out, 0);
  put(out, static_cast<uint16_t>(entries.size()));
  put(out, static_cast<uint16_t>(entries.size()));
  put(out, static_cast<uint32_t>(directory.size()));
  put(out, begin);
  put(out, static_cast<uint16_t>(comment.size()));
  append(out, blob(comment));
  return out;
}

}  // namespace strata::interop::testing

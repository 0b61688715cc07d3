// The part of PKWARE's APPNOTE that archives of arrays use: end record, central directory and local
// headers, their 64-bit extensions, methods "stored" and "deflated", CRC-32.
#include "interop/npz.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include <zlib.h>

namespace strata::interop {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr uint32_t kLocalHeader = 0x04034b50;
constexpr uint32_t kDirectoryHeader = 0x02014b50;
constexpr uint32_t kEnd = 0x06054b50;
constexpr uint32_t kEnd64 = 0x06064b50;
constexpr uint32_t kEnd64Locator = 0x07064b50;
constexpr size_t kLocalSize = 30;
constexpr size_t kDirectorySize = 46;
constexpr size_t kEndSize = 22;
constexpr size_t kEnd64LocatorSize = 20;
constexpr size_t kEnd64Size = 56;
constexpr size_t kMaxComment = 65535;
constexpr uint16_t kZip64Extra = 1;
constexpr uint16_t kEncrypted = 1;
constexpr uint16_t kStored = 0;
constexpr uint16_t kDeflated = 8;
/// No deflated stream grows by more; a larger claim is damage or malice.
constexpr uint64_t kMaxInflation = 1032;

/// Little-endian; callers check the size.
template <typename T>
T number(Bytes bytes, size_t offset) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value | static_cast<T>(static_cast<T>(bytes[offset + i]) << (8 * i)));
  }
  return value;
}

/// The last end record whose comment reaches exactly to the end of the file.
std::optional<size_t> find_end(Bytes bytes) {
  if (bytes.size() < kEndSize) return std::nullopt;
  const size_t last = bytes.size() - kEndSize;
  const size_t first = last > kMaxComment ? last - kMaxComment : 0;
  for (size_t at = last + 1; at-- > first;) {
    if (number<uint32_t>(bytes, at) == kEnd &&
        number<uint16_t>(bytes, at + 20) == bytes.size() - at - kEndSize) {
      return at;
    }
  }
  return std::nullopt;
}

struct Directory {
  uint64_t count = 0, size = 0, offset = 0;
};

std::optional<Directory> find_directory(Bytes bytes) {
  const std::optional<size_t> end = find_end(bytes);
  if (!end) return std::nullopt;
  Directory directory{number<uint16_t>(bytes, *end + 10), number<uint32_t>(bytes, *end + 12),
                      number<uint32_t>(bytes, *end + 16)};
  const bool large = directory.count == UINT16_MAX || directory.size == UINT32_MAX ||
                     directory.offset == UINT32_MAX;
  if (large && *end >= kEnd64LocatorSize &&
      number<uint32_t>(bytes, *end - kEnd64LocatorSize) == kEnd64Locator) {
    const auto at = number<uint64_t>(bytes, *end - kEnd64LocatorSize + 8);
    if (at > bytes.size() || bytes.size() - at < kEnd64Size ||
        number<uint32_t>(bytes, at) != kEnd64) {
      return std::nullopt;
    }
    directory = {number<uint64_t>(bytes, at + 32), number<uint64_t>(bytes, at + 40),
                 number<uint64_t>(bytes, at + 48)};
  }
  if (directory.offset > bytes.size() || directory.size > bytes.size() - directory.offset ||
      directory.count > directory.size / kDirectorySize) {
    return std::nullopt;
  }
  return directory;
}

/// The 64-bit numbers of a directory entry, in the order in which the 32-bit ones are full.
bool widen(Bytes extra, std::span<uint64_t* const> fields) {
  while (extra.size() >= 4) {
    const auto id = number<uint16_t>(extra, 0);
    const size_t size = number<uint16_t>(extra, 2);
    extra = extra.subspan(4);
    if (size > extra.size()) return false;
    if (id == kZip64Extra) {
      size_t at = 0;
      for (uint64_t* const field : fields) {
        if (*field != UINT32_MAX) continue;
        if (at + 8 > size) return false;
        *field = number<uint64_t>(extra, at);
        at += 8;
      }
    }
    extra = extra.subspan(size);
  }
  return true;
}

/// `packed` as one raw deflate stream of exactly `size` bytes; nothing if it is not.
std::optional<std::vector<uint8_t>> inflate_all(Bytes packed, uint64_t size) {
  if (size > packed.size() * kMaxInflation + kMaxInflation) return std::nullopt;
  constexpr size_t kFirstGuess = size_t{1} << 16;  // room is made as data come, not as promised
  std::vector<uint8_t> out(std::min(size, std::max<uint64_t>(kFirstGuess, packed.size() * 4)));
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return std::nullopt;
  constexpr size_t kPiece = size_t{1} << 30;  // zlib counts in 32 bits
  size_t consumed = 0;
  size_t produced = 0;
  uint8_t beyond = 0;  // one byte of room tells "ends here" from "goes on"
  int code = Z_OK;
  while (code == Z_OK) {
    if (produced == out.size() && produced < size) {
      out.resize(std::min<uint64_t>(size, produced * 2));
    }
    const size_t in_piece = std::min(kPiece, packed.size() - consumed);
    const size_t out_piece = std::min(kPiece, out.size() - produced);
    stream.next_in = const_cast<Bytef*>(packed.data() + consumed);  // zlib only reads it
    stream.avail_in = static_cast<uInt>(in_piece);
    stream.next_out = out_piece > 0 ? out.data() + produced : &beyond;
    stream.avail_out = static_cast<uInt>(std::max<size_t>(out_piece, 1));
    const uInt room = stream.avail_out;
    code = inflate(&stream, Z_NO_FLUSH);
    consumed += in_piece - stream.avail_in;
    const size_t written = room - stream.avail_out;
    if (written > out_piece) code = Z_DATA_ERROR;
    produced += std::min(written, out_piece);
    if (code == Z_OK && written == 0 && stream.avail_in == in_piece) code = Z_DATA_ERROR;
  }
  inflateEnd(&stream);
  if (code != Z_STREAM_END || produced != size || consumed != packed.size()) return std::nullopt;
  return out;
}

uint32_t checksum_of(Bytes bytes) {
  return static_cast<uint32_t>(crc32_z(0, bytes.data(), bytes.size()));
}

}  // namespace

Result<NpzArchive> NpzArchive::open(const std::string& path) {
  STRATA_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  NpzArchive archive(file.bytes(), path);
  archive.file_.push_back(std::move(file));
  STRATA_RETURN_IF_ERROR(archive.read_directory());
  return archive;
}

Result<NpzArchive> NpzArchive::parse(Bytes bytes, std::string name) {
  NpzArchive archive(bytes, std::move(name));
  STRATA_RETURN_IF_ERROR(archive.read_directory());
  return archive;
}

Status NpzArchive::read_directory() {
  const auto damaged = [this](const std::string& reason) {
    return data_loss("'" + name_ + "' is no readable .npz archive: " + reason);
  };
  const std::optional<Directory> directory = find_directory(bytes_);
  if (!directory) return damaged("it has no zip directory at its end; is it truncated?");
  Bytes rest = bytes_.subspan(directory->offset, directory->size);
  for (uint64_t i = 0; i < directory->count; ++i) {
    if (rest.size() < kDirectorySize || number<uint32_t>(rest, 0) != kDirectoryHeader) {
      return damaged("its zip directory is damaged");
    }
    const size_t name_size = number<uint16_t>(rest, 28);
    const size_t extra_size = number<uint16_t>(rest, 30);
    const size_t whole = kDirectorySize + name_size + extra_size + number<uint16_t>(rest, 32);
    if (whole > rest.size()) return damaged("its zip directory is truncated");
    std::string name(reinterpret_cast<const char*>(rest.data()) + kDirectorySize, name_size);
    Entry entry{.offset = number<uint32_t>(rest, 42),
                .packed_size = number<uint32_t>(rest, 20),
                .size = number<uint32_t>(rest, 24),
                .checksum = number<uint32_t>(rest, 16)};
    uint64_t* const fields[] = {&entry.size, &entry.packed_size, &entry.offset};
    if (!widen(rest.subspan(kDirectorySize + name_size, extra_size), fields)) {
      return damaged("its zip directory has a damaged entry '" + name + "'");
    }
    if ((number<uint16_t>(rest, 8) & kEncrypted) != 0) {
      return unsupported("'" + name_ + "' is encrypted, which is not read");
    }
    const auto method = number<uint16_t>(rest, 10);
    if (method != kStored && method != kDeflated) {
      return unsupported("'" + name_ + "' holds '" + name + "' packed by method " +
                         std::to_string(method) + "; stored and deflated arrays are read");
    }
    entry.deflated = method == kDeflated;
    rest = rest.subspan(whole);
    constexpr std::string_view kSuffix = ".npy";
    if (!name.ends_with(kSuffix)) continue;  // a stranger's file, which numpy.load passes over too
    name.resize(name.size() - kSuffix.size());
    if (!entries_.emplace(name, entry).second) {
      return damaged("it holds the array '" + name + "' twice");
    }
  }
  return {};
}

std::vector<std::string> NpzArchive::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

std::string NpzArchive::label(std::string_view array) const {
  return name_ + ": " + std::string(array);
}

Result<NpyArray> NpzArchive::read(std::string_view array) const {
  const auto found = entries_.find(array);
  if (found == entries_.end()) {
    std::string known;
    for (const auto& [name, entry] : entries_) known += (known.empty() ? "" : ", ") + name;
    return not_found("'" + name_ + "' has no array '" + std::string(array) + "'; it has " +
                     (known.empty() ? "none" : known));
  }
  const Entry& entry = found->second;
  const auto damaged = [&](const std::string& reason) {
    return data_loss("'" + label(array) + "' is damaged: " + reason);
  };
  if (entry.offset > bytes_.size() || bytes_.size() - entry.offset < kLocalSize) {
    return damaged("it lies beyond the end of the file");
  }
  const Bytes local = bytes_.subspan(entry.offset);
  if (number<uint32_t>(local, 0) != kLocalHeader)
    return damaged("its header is not where it should be");
  const size_t begin = kLocalSize + number<uint16_t>(local, 26) + number<uint16_t>(local, 28);
  if (begin > local.size() || entry.packed_size > local.size() - begin) {
    return damaged("it lies beyond the end of the file");
  }
  Bytes data = local.subspan(begin, entry.packed_size);
  std::optional<std::vector<uint8_t>> inflated;
  if (entry.deflated) {
    inflated = inflate_all(data, entry.size);
    if (!inflated) return damaged("its compressed data cannot be unpacked");
    data = *inflated;
  } else if (entry.size != entry.packed_size) {
    return damaged("it is stored, but its two sizes differ");
  }
  if (checksum_of(data) != entry.checksum) return damaged("its checksum is wrong");
  return parse_npy(data, label(array));
}

}  // namespace strata::interop

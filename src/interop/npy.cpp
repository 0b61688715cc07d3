// The header of an .npy file is the text of a Python dictionary with three known keys; what is read
// here is that dictionary and nothing more of Python.
#include "interop/npy.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

namespace strata::interop {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxRank = 64;       // NumPy's own limit
constexpr size_t kMaxHeader = 65536;  // far above what a plain array needs

static_assert(std::endian::native == std::endian::little, "elements are kept little-endian");

struct TypeRow {
  std::string_view code;  ///< without byte order
  NpyType type;
  size_t size;
  std::string_view name;
};
constexpr std::array<TypeRow, 12> kTypes = {{
    {"b1", NpyType::kBool, 1, "bool"},
    {"i1", NpyType::kInt8, 1, "int8"},
    {"i2", NpyType::kInt16, 2, "int16"},
    {"i4", NpyType::kInt32, 4, "int32"},
    {"i8", NpyType::kInt64, 8, "int64"},
    {"u1", NpyType::kUint8, 1, "uint8"},
    {"u2", NpyType::kUint16, 2, "uint16"},
    {"u4", NpyType::kUint32, 4, "uint32"},
    {"u8", NpyType::kUint64, 8, "uint64"},
    {"f2", NpyType::kFloat16, 2, "float16"},
    {"f4", NpyType::kFloat32, 4, "float32"},
    {"f8", NpyType::kFloat64, 8, "float64"},
}};

const TypeRow& row_of(NpyType type) { return kTypes[static_cast<size_t>(type)]; }

struct Header {
  std::string descr;
  bool fortran_order = false;
  std::vector<int64_t> shape;
};

/// Reads "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }".
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : rest_(text) {}

  std::optional<Header> parse() {
    Header header;
    bool seen_descr = false;
    bool seen_order = false;
    bool seen_shape = false;
    if (!take('{')) return std::nullopt;
    while (!take('}')) {
      const std::optional<std::string> key = string();
      if (!key || !take(':')) return std::nullopt;
      if (*key == "descr" && !seen_descr) {
        std::optional<std::string> value = string();
        if (!value) return std::nullopt;
        header.descr = *std::move(value);
        seen_descr = true;
      } else if (*key == "fortran_order" && !seen_order) {
        const bool yes = take_word("True");
        if (!yes && !take_word("False")) return std::nullopt;
        header.fortran_order = yes;
        seen_order = true;
      } else if (*key == "shape" && !seen_shape) {
        if (!shape(header.shape)) return std::nullopt;
        seen_shape = true;
      } else {
        return std::nullopt;
      }
      if (!take(',') && !at('}')) return std::nullopt;
    }
    skip_space();
    if (!rest_.empty() || !seen_descr || !seen_order || !seen_shape) return std::nullopt;
    return header;
  }

 private:
  void skip_space() {
    const size_t begin = rest_.find_first_not_of(" \n\t\r");
    rest_.remove_prefix(begin == std::string_view::npos ? rest_.size() : begin);
  }
  bool at(char wanted) {
    skip_space();
    return !rest_.empty() && rest_.front() == wanted;
  }
  bool take(char wanted) {
    if (!at(wanted)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take_word(std::string_view word) {
    skip_space();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  std::optional<std::string> string() {
    const char quote = at('\'') ? '\'' : '"';
    if (!take(quote)) return std::nullopt;
    const size_t end = rest_.find(quote);
    if (end == std::string_view::npos) return std::nullopt;
    std::string value(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return value;
  }
  bool shape(std::vector<int64_t>& sizes) {
    if (!take('(')) return false;
    while (!take(')')) {
      skip_space();
      int64_t size = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), size);
      if (error != std::errc() || size < 0 || sizes.size() == kMaxRank) return false;
      rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
      take_word("L");  // as Python 2 wrote long integers
      sizes.push_back(size);
      if (!take(',') && !at(')')) return false;
    }
    return true;
  }

  std::string_view rest_;
};

/// IEEE 754 binary16.
float half_to_float(uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const auto mantissa = static_cast<float>(half & 1023);
  float value = 0;
  if (exponent == 31) {
    value = mantissa != 0 ? std::numeric_limits<float>::quiet_NaN()
                          : std::numeric_limits<float>::infinity();
  } else if (exponent == 0) {
    value = std::ldexp(mantissa, -24);
  } else {
    value = std::ldexp(mantissa + 1024, exponent - 25);
  }
  return (half & 0x8000) != 0 ? -value : value;
}

template <typename T>
T element(const NpyArray& array, size_t index) {
  T value;
  std::memcpy(&value, array.bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

/// Calls visit(value) with every element in its own type.
template <typename Visit>
void for_each_element(const NpyArray& array, const Visit& visit) {
  const auto each = [&]<typename T>(T /*tag*/) {
    const size_t count = array.bytes.size() / sizeof(T);
    for (size_t i = 0; i < count; ++i) visit(element<T>(array, i));
  };
  switch (array.type) {
    case NpyType::kBool:
    case NpyType::kUint8:
      return each(uint8_t{});
    case NpyType::kInt8:
      return each(int8_t{});
    case NpyType::kInt16:
      return each(int16_t{});
    case NpyType::kInt32:
      return each(int32_t{});
    case NpyType::kInt64:
      return each(int64_t{});
    case NpyType::kUint16:
      return each(uint16_t{});
    case NpyType::kUint32:
      return each(uint32_t{});
    case NpyType::kUint64:
      return each(uint64_t{});
    case NpyType::kFloat16: {
      const size_t count = array.bytes.size() / sizeof(uint16_t);
      for (size_t i = 0; i < count; ++i) visit(half_to_float(element<uint16_t>(array, i)));
      return;
    }
    case NpyType::kFloat32:
      return each(float{});
    case NpyType::kFloat64:
      return each(double{});
  }
}

Status damaged(const std::string& name, const std::string& reason) {
  return data_loss("'" + name + "' is no readable NumPy array: " + reason);
}

/// Text of the header, and where the elements begin.
Result<std::pair<std::string_view, size_t>> header_text(std::span<const uint8_t> file,
                                                        const std::string& name) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (!text.starts_with(kMagic)) return damaged(name, "it does not begin with \\x93NUMPY");
  const size_t version_end = kMagic.size() + 2;
  if (file.size() < version_end) return damaged(name, "it is truncated");
  const uint8_t version = file[kMagic.size()];
  if (version < 1 || version > 3) {
    return unsupported("'" + name + "' has version " + std::to_string(version) +
                       " of NumPy's array format; versions 1 to 3 are read");
  }
  const size_t length_size = version == 1 ? 2 : 4;
  if (file.size() < version_end + length_size) return damaged(name, "it is truncated");
  size_t length = 0;
  for (size_t i = 0; i < length_size; ++i) {
    length |= static_cast<size_t>(file[version_end + i]) << (8 * i);
  }
  const size_t begin = version_end + length_size;
  if (length > file.size() - begin) return damaged(name, "it is truncated in its header");
  if (length > kMaxHeader) return damaged(name, "its header is too long");
  return std::pair(text.substr(begin, length), begin + length);
}

}  // namespace

std::string_view to_string(NpyType type) { return row_of(type).name; }

size_t element_size(NpyType type) { return row_of(type).size; }

int64_t NpyArray::element_count() const {
  return static_cast<int64_t>(bytes.size() / element_size(type));
}

Result<NpyArray> parse_npy(std::span<const uint8_t> file, const std::string& name) {
  STRATA_ASSIGN_OR_RETURN(const auto text, header_text(file, name));
  std::optional<Header> header = HeaderParser(text.first).parse();
  if (!header) return damaged(name, "its header is not that of a plain array");
  const std::string_view descr = header->descr;
  const auto* const row = std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeRow& candidate) {
    return descr.size() == 3 && descr.substr(1) == candidate.code &&
           std::string_view("<>=|").find(descr[0]) != std::string_view::npos;
  });
  if (row == kTypes.end()) {
    return unsupported("'" + name + "' has elements of type '" + header->descr +
                       "'; booleans, integers and floating-point numbers are read");
  }
  if (header->fortran_order && header->shape.size() > 1) {
    return unsupported("'" + name +
                       "' is in Fortran order; save numpy.ascontiguousarray() of it instead");
  }
  NpyArray array;
  array.type = row->type;
  array.shape = std::move(header->shape);
  const std::span<const uint8_t> data = file.subspan(text.second);
  size_t size = row->size;
  for (const int64_t dim : array.shape) {
    if (__builtin_mul_overflow(size, static_cast<size_t>(dim), &size)) size = SIZE_MAX;
    if (dim == 0) {
      size = 0;
      break;
    }
  }
  if (size != data.size()) {
    return damaged(name, "its shape needs " + std::to_string(size) + " bytes, it holds " +
                             std::to_string(data.size()));
  }
  array.bytes.assign(data.begin(), data.end());
  if (descr[0] == '>') {
    for (size_t i = 0; i < array.bytes.size(); i += row->size) {
      const auto begin = array.bytes.begin() + static_cast<std::ptrdiff_t>(i);
      std::reverse(begin, begin + static_cast<std::ptrdiff_t>(row->size));
    }
  }
  return array;
}

Result<std::vector<int64_t>> to_integers(const NpyArray& array, const std::string& name) {
  const std::string type(to_string(array.type));
  if (array.type >= NpyType::kFloat16) {
    return invalid_argument("'" + name + "' holds " + type + ", expected integers");
  }
  std::vector<int64_t> values;
  values.reserve(static_cast<size_t>(array.element_count()));
  bool fits = true;
  for_each_element(array, [&](auto value) {
    if constexpr (std::is_same_v<decltype(value), uint64_t>) {
      fits = fits && value <= static_cast<uint64_t>(INT64_MAX);
    }
    values.push_back(static_cast<int64_t>(value));
  });
  if (!fits) return invalid_argument("'" + name + "' holds a number above 2^63 - 1");
  return values;
}

std::vector<float> to_floats(const NpyArray& array) {
  std::vector<float> values;
  values.reserve(static_cast<size_t>(array.element_count()));
  for_each_element(array, [&](auto value) {
    if constexpr (std::is_same_v<decltype(value), double>) {
      // Beyond float's range the conversion is undefined, save for infinity.
      constexpr double kMax = std::numeric_limits<float>::max();
      constexpr float kInfinity = std::numeric_limits<float>::infinity();
      values.push_back(value > kMax    ? kInfinity
                       : value < -kMax ? -kInfinity
                                       : static_cast<float>(value));
    } else {
      values.push_back(static_cast<float>(value));
    }
  });
  return values;
}

}  // namespace strata::interop
